//go:build ignore

// What expr-lang makes of its own words, as names of tasks in `depends` and inside expressions.
//
//	go mod init gen && go get github.com/expr-lang/expr@v1.17.8 && go run words.go > ../words.json
package main

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/expr-lang/expr"
)

// Results has the fields that `depends` may ask of a task.
type Results struct {
	Succeeded, Failed, Errored, Skipped, Omitted, Daemoned, AnySucceeded, AllFailed bool
}

var tasks = strings.Fields(`in not or and true false nil let if else matches contains startsWith endsWith
	env map join filter len all none any one sum count find reduce get type int string now date duration var const
	func for while then elif is null None True FALSE In NOT xor div mod like switch case return self this it item t`)

var forms = []string{
	"NAME.Succeeded",
	"(NAME.Succeeded || NAME.Skipped || NAME.Daemoned)",
	"(b.Succeeded || b.Skipped || b.Daemoned) && (NAME.Succeeded || NAME.Skipped || NAME.Daemoned)",
	"b.Succeeded || NAME.Failed",
	"NAME.Failed || b.Succeeded",
}

var expressions = []string{
	"{in: 1}", "{not: 1}", "{true: 1}", "{nil: 1}", "{let: 1}", "a.in", "a?.in", "a.not", "a.true", "a.let", "a.nil",
	"a.if + 1", "in(1)", "not(true)", "not (x == 2)", "let in = 1; in", "let true = 1; true", "let not = 1; 2",
	"[not]", "[in]", "not.x", "x | in", "filter(l, in)", "x not in l", "x in l", "not (x in l)", "!(x in l)",
	"let y = 1; y + x", "if x == 1 { 'a' } else { 'b' }", "(if x == 1 { 'a' } else { 'b' })",
	"1 + if x == 1 { 2 } else { 3 }", "(let y = 2; y)", "1 + let y = 2; y", "else", "and", "or", "x and", "x or or",
	"not", "not not true", "-not true", "true and not false", "x matches", "matches", "nil", "nil.x", "true.x",
	"nil ?? 1", "true ? 1 : 2", "let", "let x", "let 1 = 2; 3", "contains('a', 'b')", "'ab' contains 'a'",
	"'ab' not contains 'a'", "'ab' not matches '^a'", "'ab' not startsWith 'a'", "in.x", "a['in']", "not in a",
	"x not y", "map(l, let z = #; z + 1)", "l | map(not (# == 1))", "#", "l[in]", "l[0:not]", "a not == x",
	"not a.not == 2", "-a.in", "!true.x",
}

func answer(text, task string, env any) map[string]any {
	found := map[string]any{"expression": text}
	if task != "" {
		found["task"] = task
	}
	program, err := expr.Compile(text, expr.Env(env))
	if err == nil {
		var value any
		if value, err = expr.Run(program, env); err == nil {
			found["value"] = value
		}
	}
	if err != nil {
		found["error"] = err.Error()
	}
	return found
}

func main() {
	found := []map[string]any{}
	for _, task := range tasks {
		for _, form := range forms {
			env := map[string]Results{task: {Succeeded: true}, "b": {Succeeded: true}}
			found = append(found, answer(strings.ReplaceAll(form, "NAME", task), task, env))
		}
	}
	env := map[string]any{
		"a": map[string]any{"in": 1, "not": 2, "true": 3, "let": 4, "if": 5, "nil": 6}, "x": 1, "l": []any{1, 2},
	}
	for _, text := range expressions {
		found = append(found, answer(text, "", env))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	out.Encode(map[string]any{"about": "What expr-lang 1.17.8 makes of its own words (go/words.go)", "cases": found})
}
