// What RapidJSON 1.1.0 says of request bodies, read with the flags of TensorFlow Serving 2.19.1 (ParseJson in its
// json_tensor.cc): the origin of rapidjson.json. `python -m tests.serving.rest.record_rapidjson RAPIDJSON_INCLUDE` compiles and asks it.
//
// stdin: a body a line, in hex. stdout: for each "error OFFSET TEXT", or "value TEXT-IN-HEX SHOWN-IN-HEX": all of the
// document on one line, and as much of it as an error text repeats (the tokens that begin within the first 256 bytes).
#include <cstdio>
#include <iostream>
#include <string>

#include "rapidjson/document.h"
#include "rapidjson/encodedstream.h"
#include "rapidjson/error/en.h"
#include "rapidjson/memorystream.h"
#include "rapidjson/prettywriter.h"
#include "rapidjson/stringbuffer.h"
#include "rapidjson/writer.h"

using Buffer = rapidjson::StringBuffer;
using Pretty = rapidjson::PrettyWriter<Buffer>;
using Whole = rapidjson::Writer<Buffer, rapidjson::UTF8<>, rapidjson::UTF8<>, rapidjson::CrtAllocator,
                                rapidjson::kWriteNanAndInfFlag>;

// Hands a document's tokens on until the buffer holds 256 bytes.
struct Bounded {
  Buffer& buffer;
  Pretty& out;
  bool open() const { return buffer.GetSize() < 256; }
  bool Null() { return open() && out.Null(); }
  bool Bool(bool x) { return open() && out.Bool(x); }
  bool Int(int x) { return open() && out.Int(x); }
  bool Uint(unsigned x) { return open() && out.Uint(x); }
  bool Int64(int64_t x) { return open() && out.Int64(x); }
  bool Uint64(uint64_t x) { return open() && out.Uint64(x); }
  bool Double(double x) { return open() && out.Double(x); }
  bool RawNumber(const char* x, rapidjson::SizeType n, bool) { return open() && out.RawNumber(x, n); }
  bool String(const char* x, rapidjson::SizeType n, bool) { return open() && out.String(x, n); }
  bool Key(const char* x, rapidjson::SizeType n, bool) { return open() && out.Key(x, n); }
  bool StartObject() { return open() && out.StartObject(); }
  bool EndObject(rapidjson::SizeType) { return open() && out.EndObject(); }
  bool StartArray() { return open() && out.StartArray(); }
  bool EndArray(rapidjson::SizeType) { return open() && out.EndArray(); }
};

static std::string Hex(const std::string& text) {
  std::string result = text.empty() ? "-" : "";
  for (unsigned char byte : text) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    result += two;
  }
  return result;
}

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::string body;
    for (size_t at = 0; at + 1 < line.size(); at += 2) body += static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16));
    rapidjson::MemoryStream memory(body.data(), body.size());
    rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream(memory);
    rapidjson::Document document;
    document.ParseStream<rapidjson::kParseIterativeFlag | rapidjson::kParseNanAndInfFlag |
                         rapidjson::kParseStopWhenDoneFlag>(stream);
    if (document.HasParseError()) {
      std::cout << "error " << document.GetErrorOffset() << " " << rapidjson::GetParseError_En(document.GetParseError())
                << "\n";
      continue;
    }
    Buffer all;
    Whole whole(all);
    document.Accept(whole);
    Buffer some;
    Pretty pretty(some);
    pretty.SetFormatOptions(rapidjson::kFormatSingleLineArray);
    Bounded bounded{some, pretty};
    document.Accept(bounded);
    std::cout << "value " << Hex(all.GetString()) << " " << Hex(some.GetString()) << "\n";
  }
}
