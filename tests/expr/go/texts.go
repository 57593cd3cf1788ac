//go:build ignore

// What expr-lang and sprig make of texts that are not ASCII: some count bytes, some characters.
//
//	go mod init gen && go get github.com/expr-lang/expr@v1.17.8 github.com/Masterminds/sprig/v3@v3.3.0
//	go run texts.go | gzip -9n > ../texts.json.gz
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/Masterminds/sprig/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/builtin"
)

var texts = []string{
	"héllo", "éa", "éaéa", "ééééé ééé éé", "日本語テキスト", "😀x", "Straße 12", "ΟΔΥΣΣΕΥΣ", "İstanbul ıI", "\u00a0x\u3000",
	"ﬁne ŉ", "a\u0301b", "ǆ ǅ Ǆ", "naïve café crème", "\x1cx\x1f", "٣", " 7 ", "1_000", "éé éé,éé", "Ünïcödé-Wörd_two", "ᾳ ß",
	"x\u0085y", "\u2028z", "Äpfel\nÖl", "Hello World again", "aaa", "",
	"don't stop_it 3d", "HTTPStatus2xx Bld4Floor v1.2-rc", "--a--b_ c-", "一二三abc四XYZ", "x\u00e9\n",
}

var forms = []string{
	"len(S)", "S[0:3]", "S[1:]", "S[:2]", "S[-3:]", "S[:-1]", "S[2:1]", "S[0:100]", "S[0:1] + S[1:2]", "S[1:2] == 'a'",
	"indexOf(S, 'a')", "lastIndexOf(S, 'a')", "indexOf(S, 'é')", "lastIndexOf(S, 'é')", "upper(S)", "lower(S)", "trim(S)",
	"trim(S, 'éx')", "trimPrefix(S, 'é')", "trimSuffix(S, 'é')", "split(S, '')", "split(S, 'é')", "split(S, '', 3)",
	"splitAfter(S, 'é')", "splitAfter(S, '')", "replace(S, '', '-')", "replace(S, 'é', 'e')", "replace(S, '', '-', 2)",
	"repeat(S, 2)", "hasPrefix(S, 'é')", "hasSuffix(S, 'é')", "toBase64(S)", "fromBase64(toBase64(S))", "toJSON(S)",
	"S matches '^.{5}$'", "S matches '(?i)É'", `S matches '^\\w+$'`, "S contains 'é'", "S startsWith 'é'", "S endsWith 'a'",
	"S < 'f'", "int(S)", "float(S)", "reverse(split(S, ''))", "first(split(S, ''))", "join(split(S, ''), '·')",
	"sprig.trunc(3, S)", "sprig.trunc(-3, S)", "sprig.trunc(0, S)", "sprig.trunc(100, S)", "sprig.substr(0, 3, S)",
	"sprig.substr(1, 4, S)", "sprig.substr(2, -1, S)", "sprig.substr(-1, 3, S)", "sprig.abbrev(5, S)", "sprig.abbrev(8, S)",
	"sprig.abbrev(3, S)", "sprig.abbrevboth(5, 10, S)", "sprig.abbrevboth(3, 9, S)", "sprig.initials(S)", "sprig.upper(S)",
	"sprig.lower(S)", "sprig.title(S)", "sprig.untitle(S)", "sprig.trim(S)", "sprig.trimAll('éx', S)", "sprig.nospace(S)",
	"sprig.swapcase(S)", "sprig.snakecase(S)", "sprig.camelcase(S)", "sprig.kebabcase(S)", "sprig.wrap(5, S)",
	"sprig.wrapWith(4, '|', S)", "sprig.quote(S)", "sprig.squote(S)", "sprig.indent(2, S)", "sprig.nindent(2, S)",
	"sprig.splitList('', S)", "sprig.splitList('é', S)", "sprig.split('é', S)", "sprig.splitn('é', 2, S)",
	"sprig.contains('é', S)", "sprig.repeat(2, S)", "sprig.replace('é', 'e', S)", "sprig.replace('', '-', S)",
	"sprig.b64enc(S)", "sprig.b32enc(S)", "sprig.sha256sum(S)", "sprig.adler32sum(S)", "sprig.toJson(S)", "sprig.atoi(S)",
	"sprig.int64(S)", "sprig.float64(S)", "sprig.regexFind('[é-ü]+', S)", `sprig.regexReplaceAll('\\W', S, '_')`,
	"sprig.regexReplaceAll('é*', S, '-')", "sprig.regexSplit('é', S, -1)", "sprig.regexFindAll('.', S, 3)",
	"sprig.regexQuoteMeta(S)", "sprig.sortAlpha(split(S, ''))", "sprig.base(S)", "sprig.cat(S, 'x')", "sprig.empty(S)",
	"sprig.hasPrefix('é', S)", "sprig.trimSuffix('é', S)", "sprig.toString(S)", "sprig.len(S)", "S[0]", "sprig.plural(S, S, 1)",
	"sprig.join('-', split(S, ''))", "sprig.default('é', S)", "sprig.first(split(S, ' '))", "string(S)", "toJson(S)",
	"sprig.toRawJson(S)", "sprig.toPrettyJson(S)", "sprig.urlParse('http://h/' + S).path", "sprig.toDecimal(S)",
	"S[-1]", "S[1]", "first(S)", "last(S)", "get(S, 1)", "take(S, 2)", "len(sprig.trunc(2, S))",
	"S[0:1] + S[1:2] == S[0:2]", "map(split(S, ''), len(#))", "sprig.substr(3, 2, S)", "sprig.substr(50, -1, S)",
	"sprig.substr(-1, -1, S)", "sprig.regexFind('(?i)É', S)", "sprig.ext(S)", "lower(upper(S))", "sprig.quote(S[1:2])",
	"S > 'É'", "sprig.wrap(0, S)", "sprig.wrapWith(6, '', S)", "sprig.abbrevboth(20, 8, S)", "sprig.abbrevboth(-1, 5, S)",
	"sprig.indent(0, S)", "sprig.cat(S)", "sprig.splitn('', 2, S)", "sprig.trimPrefix('é', S)", "join([S, S], S[0:1])",
	"sprig.atoi(S) + 1", "{'a': S[1:2]}", "[S[0:1]]", "S == sprig.trunc(2, S)", "sprig.b64dec(sprig.b64enc(S[0:1]))",
}

func functions() map[string]any {
	found := sprig.GenericFuncMap()
	delete(found, "env")
	delete(found, "expandenv")
	return found
}

func answer(text string, env map[string]any) (found map[string]any) {
	found = map[string]any{"expression": text}
	defer func() {
		if problem := recover(); problem != nil {
			found["error"] = fmt.Sprint(problem)
		}
	}()
	program, err := expr.Compile(text, expr.Env(env))
	if err == nil {
		var value any
		if value, err = expr.Run(program, env); err == nil {
			marshaled, problem := json.Marshal(value)
			if problem == nil {
				found["value"] = json.RawMessage(marshaled)
			}
			err = problem
		}
	}
	if err != nil {
		found["error"] = err.Error()
	}
	return found
}

func main() {
	found := []map[string]any{}
	env := map[string]any{"sprig": functions(), "asInt": builtin.Int, "asFloat": builtin.Float}
	env["toJson"] = func(v any) string { out, _ := json.Marshal(v); return string(out) }
	for index, text := range texts {
		env["inputs"] = map[string]any{"parameters": map[string]any{"s": text}}
		for _, form := range forms {
			one := answer(strings.ReplaceAll(form, "S", "inputs.parameters.s"), env)
			found = append(found, map[string]any{"text": index, "form": form, "value": one["value"], "error": one["error"]})
		}
	}
	for _, one := range found {
		for _, key := range []string{"value", "error"} {
			if one[key] == nil {
				delete(one, key)
			}
		}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.Encode(map[string]any{"about": "expr-lang 1.17.8 with sprig 3.3.0 (go/texts.go)", "texts": texts, "cases": found})
}
