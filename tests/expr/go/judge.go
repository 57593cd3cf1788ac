//go:build ignore

// What Go and the libraries that Argo calls answer: questions as JSON on stdin, answers on stdout. See record.py.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/Knetic/govaluate"
	"github.com/argoproj/argo-workflows/v4/util/expr/env"
	"github.com/evilmonkeyinc/jsonpath"
	"github.com/expr-lang/expr"
)

type question struct {
	Ask    string          `json:"ask"`
	Text   string          `json:"text"`
	Other  string          `json:"other"`
	With   string          `json:"with"`
	Count  string          `json:"count"`
	Values json.RawMessage `json:"values"`
}

// environment is what record.py says, with whole numbers as ints and what Argo adds.
func environment(raw json.RawMessage) map[string]any {
	return env.GetFuncMap(values(raw).(map[string]any))
}

func values(raw json.RawMessage) any {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var found any
	if err := decoder.Decode(&found); err != nil {
		panic(err)
	}
	return numbered(found)
}

func numbered(value any) any {
	switch held := value.(type) {
	case json.Number:
		if whole, err := strconv.Atoi(held.String()); err == nil {
			return whole
		}
		number, _ := held.Float64()
		return number
	case []any:
		for index := range held {
			held[index] = numbered(held[index])
		}
	case map[string]any:
		for key := range held {
			held[key] = numbered(held[key])
		}
	}
	return value
}

// when is a condition with every name taken as a text.
func when(text string) (any, error) {
	parsed, err := govaluate.NewEvaluableExpression(text)
	if err != nil {
		return nil, err
	}
	tokens := parsed.Tokens()
	for index := range tokens {
		if tokens[index].Kind == govaluate.VARIABLE {
			tokens[index].Kind = govaluate.STRING
		}
	}
	if parsed, err = govaluate.NewEvaluableExpressionFromTokens(tokens); err != nil {
		return nil, err
	}
	return parsed.Evaluate(nil)
}

func answer(q question) (result any, err error) {
	defer func() {
		if problem := recover(); problem != nil {
			result, err = nil, fmt.Errorf("%v", problem)
		}
	}()
	switch q.Ask {
	case "expr":
		scope := environment(q.Values)
		program, err := expr.Compile(q.Text, expr.Env(scope))
		if err != nil {
			return nil, err
		}
		return expr.Run(program, scope)
	case "jsonpath":
		var document any
		if err := json.Unmarshal([]byte(q.Other), &document); err != nil {
			panic(err)
		}
		return jsonpath.Query(q.Text, document)
	case "when":
		return when(q.Text)
	case "json":
		var document any
		return nil, json.Unmarshal([]byte(q.Text), &document)
	case "compact":
		out, err := json.Marshal(json.RawMessage(q.Text))
		return string(out), err
	case "sprintf":
		return fmt.Sprintf(q.Text, values(q.Values).([]any)...), nil
	case "number":
		number, err := strconv.ParseFloat(q.Text, 64)
		if err != nil {
			return nil, err
		}
		written, problem := json.Marshal(number)
		if problem != nil {
			written = []byte(problem.Error())
		}
		return []string{fmt.Sprint(number), string(written), strconv.FormatFloat(number, 'g', -1, 64)}, nil
	case "duration":
		span, err := time.ParseDuration(q.Text)
		return []any{int64(span), span.String()}, err
	case "format":
		moment, err := time.Parse(time.RFC3339Nano, q.Text)
		if err != nil {
			panic(err)
		}
		return moment.Format(q.Other), nil
	case "parse":
		moment, err := time.Parse(q.Other, q.Text)
		return moment.Format(time.RFC3339Nano), err
	case "match":
		pattern, err := regexp.Compile(q.Text)
		if err != nil {
			return nil, err
		}
		return pattern.FindAllString(q.Other, -1), nil
	case "replace":
		return regexp.MustCompile(q.Text).ReplaceAllString(q.Other, q.With), nil
	case "split":
		count, err := strconv.Atoi(q.Count)
		if err != nil {
			panic(err)
		}
		return regexp.MustCompile(q.Text).Split(q.Other, count), nil
	}
	panic("what is " + q.Ask + "?")
}

func main() {
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := []map[string]any{}
	for _, each := range asked {
		result, err := answer(each)
		if err == nil {
			if _, problem := json.Marshal(result); problem != nil {
				result, err = nil, problem
			}
		}
		if err != nil {
			answers = append(answers, map[string]any{"error": err.Error()})
		} else {
			answers = append(answers, map[string]any{"value": result})
		}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.Encode(answers)
}
