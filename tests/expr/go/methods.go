//go:build ignore

// What expr-lang makes of methods of Go's values: times, durations, months, days of the week, locations, versions.
//
//	go mod init gen && go get github.com/expr-lang/expr@v1.17.8 github.com/Masterminds/sprig/v3@v3.3.0
//	go run methods.go > ../methods.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/Masterminds/sprig/v3"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/builtin"
)

const day = "sprig.toDate('2006-01-02T15:04:05Z07:00', '2024-02-29T13:45:06Z')"
const part = "date('2024-12-31T23:59:59.123456Z', '2006-01-02T15:04:05.999999Z07:00')"
const zoned = "date('2023-07-04 08:09:10', '2006-01-02 15:04:05', 'Europe/Zurich')"
const east = "date('2024-02-29T13:45:06+05:30')"
const span = "duration('26h3m4.5s')"
const tiny = "duration('1500us')"
const version = "sprig.semver('v1.10.2-rc.1+build.5')"
const plain = "sprig.semver('2.0')"

// without arguments: every method that Go's reflection knows is asked of these
var values = map[string]reflect.Type{
	day: reflect.TypeOf(time.Time{}), part: reflect.TypeOf(time.Time{}), zoned: reflect.TypeOf(time.Time{}),
	east: reflect.TypeOf(time.Time{}), span: reflect.TypeOf(time.Second), tiny: reflect.TypeOf(time.Second),
	"duration('-90m')": reflect.TypeOf(time.Second), day + ".Month()": reflect.TypeOf(time.May),
	day + ".Weekday()": reflect.TypeOf(time.Monday), day + ".Location()": reflect.TypeOf(time.UTC),
	zoned + ".Location()": reflect.TypeOf(time.UTC), "timezone('Asia/Tokyo')": reflect.TypeOf(time.UTC),
	version: reflect.TypeOf(&semver.Version{}), plain: reflect.TypeOf(&semver.Version{}),
	version + ".IncPatch()": reflect.TypeOf(semver.Version{}), plain + ".IncMajor()": reflect.TypeOf(semver.Version{}),
}

var order = []string{day, part, zoned, east, span, tiny, "duration('-90m')", day + ".Month()", day + ".Weekday()",
	day + ".Location()", zoned + ".Location()", "timezone('Asia/Tokyo')", version, plain, version + ".IncPatch()",
	plain + ".IncMajor()"}

var expressions = []string{
	"DAY", "SPAN", "VERSION", "DAY.Month()", "DAY.Weekday()", "DAY.Location()", "timezone('UTC')", "DAY.nope()", "DAY.nope", "SPAN.nope()",
	"VERSION.nope()", "DAY.year()", "VERSION.Major", "DAY.Year() + 1", "DAY.Month() == 2", "DAY.Month() + 1", "int(DAY.Month())",
	"DAY.Month() > 1", "DAY.Month() in [2, 3]", "string(DAY.Month())", "DAY.Month().String()", "sprig.lower(DAY.Month().String())",
	"DAY.Weekday() == 4", "DAY.Weekday().String() == 'Thursday'", "int(DAY.Weekday()) + 0.5", "DAY.Weekday() - 1", "string(DAY)",
	"DAY.Format('Jan 2')", "PART.Format('15:04:05.000')", "DAY.Add(SPAN)", "DAY.Add(SPAN).Format('2006-01-02')", "DAY.AddDate(0, 1, 1)",
	"DAY.AddDate(1, 0, 0)", "DAY.AddDate(-1, -14, -40)", "DAY.Sub(PART)", "DAY.Sub(PART).Hours()", "PART.After(DAY)", "PART.Before(DAY)",
	"DAY.Equal(EAST)", "DAY.Compare(PART)", "DAY.Truncate(duration('1h'))", "PART.Round(duration('1s'))", "DAY.Round(duration('24h'))",
	"DAY.In(timezone('Asia/Tokyo'))", "DAY.In(timezone('Asia/Tokyo')).Hour()", "DAY.In(ZONED.Location())", "ZONED.UTC()",
	"ZONED.Zone()", "DAY.Date()", "DAY.Clock()", "DAY.ISOWeek()", "DAY - PART", "PART - DAY > duration('1h')", "DAY + SPAN", "SPAN + DAY",
	"DAY - SPAN", "DAY < PART", "DAY == DAY", "DAY != PART", "SPAN * 2", "2 * SPAN", "SPAN / 2", "SPAN + SPAN", "SPAN - TINY", "SPAN > TINY", "SPAN == SPAN",
	"-SPAN", "SPAN.Truncate(duration('1m'))", "SPAN.Round(duration('1h'))", "SPAN.Hours() > 26", "string(SPAN)", "type(SPAN)",
	"type(DAY)", "type(DAY.Month())", "type(VERSION)", "int(SPAN)", "int(SPAN.Seconds())", "SPAN.String() + '!'",
	"VERSION.Major() + 1", "VERSION.Minor() == 10", "VERSION.Minor() > 9", "VERSION.IncMinor().String()", "VERSION.IncPatch().String()",
	"VERSION.IncMajor().Original()", "VERSION.LessThan(PLAIN)", "VERSION.GreaterThan(PLAIN)", "VERSION.Equal(VERSION)",
	"VERSION.Compare(PLAIN)", "PLAIN.Compare(VERSION)", "VERSION.LessThan('2.0')", "VERSION.SetPrerelease('beta.2').String()",
	"VERSION.SetMetadata('x').String()", "VERSION.SetPrerelease('')", "VERSION.SetPrerelease('a b')", "VERSION.SetPrerelease('01')",
	"VERSION.LessThanEqual(PLAIN)", "VERSION.GreaterThanEqual(PLAIN)", "VERSION.Original()", "string(VERSION)", "toJson(VERSION)",
	"sprig.toString(VERSION)", "VERSION.Prerelease()", "VERSION.Metadata()", "string(VERSION.Major())", "sprig.toString(DAY.Month())",
	"sprig.toString(DAY.Weekday())", "sprig.toString(SPAN)", "sprig.toString(DAY)", "[DAY.Month(), DAY.Weekday()]",
	"{'m': DAY.Month()}", "toJson([SPAN])", "toJSON(DAY)", "map([SPAN, TINY], #.Seconds())", "filter([DAY, PART], #.Year() == 2024) | len()",
	"(SPAN * 2).Hours()", "SPAN * 1.5", "1.5 * SPAN", "DAY.Sub(PART) * 2", "now().Date()", "date('2024-01-02').UTC().Clock()",
	"DAY.IsZero()", "sprig.toDate('2006', 'x').IsZero()", "DAY.Month() == PART.Month()", "DAY.Weekday() == DAY.Weekday()",
	"VERSION.IncMinor().Compare(PLAIN)", "PLAIN.Compare(VERSION.IncMinor())", "PLAIN.LessThan(PLAIN.IncMajor())",
	"DAY.Format(EAST)", "DAY.AddDate(1)", "SPAN.Abs()", "DAY.Unix() + 1", "sprig.dateModify('24h', DAY).Day()", "sprig.ago(DAY) != ''",
	"sprig.date('2006', DAY)", "DAY.Year() == 2024 && DAY.YearDay() == 60", "DAY['Year']()", "sprig['upper']('x')", "(sprig.upper)('x')", "sprig.now()()", "sprig.list(1)[0]()", "DAY?.Year()", "nil?.Year()",
	"DAY.In(timezone('Nowhere/Land'))", "timezone('Nowhere')", "DAY.Zone() + '!'", "PART.Nanosecond()", "SPAN.Microseconds() / 1000",
	"sprig.semver('1.2')", "sprig.semver('v1')", "sprig.semver('1.2.3')", "sprig.semver('1')", "sprig.semver('abc')", "sprig.semver('1.2.3.4')",
	"sprig.semver('01.2.3')", "sprig.semver('1.02')", "sprig.semver('')", "sprig.semver('1.2.3-')", "sprig.semver('1.2.3-01')", "sprig.semver('1.2.3-a..b')",
	"sprig.semver(' 1.2.3')", "sprig.semver('V1.2.3')", "sprig.semver('1.2.3-rc_1')", "sprig.semver('1.2-beta').String()", "sprig.semver('v1+m').Original()",
	"sprig.semver('99999999999999999999.0.0')", "sprig.semver('1.2.3-alpha').LessThan(sprig.semver('1.2.3'))",
	"sprig.semver('1.2.3-alpha.1').Compare(sprig.semver('1.2.3-alpha.beta'))", "sprig.semver('1.2.3-2').Compare(sprig.semver('1.2.3-10'))",
	"sprig.semver('1.2.3-a').Compare(sprig.semver('1.2.3-a.1'))", "sprig.semver('1.2.3+a').Equal(sprig.semver('1.2.3+b'))",
	"sprig.semver('1.2.3-rc.1').IncPatch().String()", "sprig.semver('1.2.3').IncPatch().String()",
	"sprig.semverCompare('^1.2.0', '1.3.5')", "sprig.semverCompare('~1.2', '1.3.0')", "sprig.semverCompare('>=1.2 <2', '1.9.9')",
	"sprig.semverCompare('>=1.2, <2', '2.0.0')", "sprig.semverCompare('1.2.x', '1.2.9')", "sprig.semverCompare('1.2.*', '1.3.0')",
	"sprig.semverCompare('*', '1.0.0')", "sprig.semverCompare('>1.2.3', '1.2.4-rc1')", "sprig.semverCompare('>1.2.3-0', '1.2.4-rc1')",
	"sprig.semverCompare('1.2 - 1.4', '1.3.7')", "sprig.semverCompare('1.2 - 1.4', '1.4.9')", "sprig.semverCompare('^0.2.3', '0.2.9')",
	"sprig.semverCompare('^0.2.3', '0.3.0')", "sprig.semverCompare('^0.0.3', '0.0.4')", "sprig.semverCompare('~1', '1.9.9')",
	"sprig.semverCompare('!=1.2', '1.2.5')", "sprig.semverCompare('>1', '1.5.0')", "sprig.semverCompare('>1', '2.0.0')", "sprig.semverCompare('<=1', '1.9.0')",
	"sprig.semverCompare('<1.2 || >2', '3.0.0')", "sprig.semverCompare('=1.2.3', 'v1.2.3')", "sprig.semverCompare('nope', '1.2.3')",
	"sprig.semverCompare('1.2.3', 'nope')", "sprig.semverCompare('>=v1.2', '1.2.0')", "sprig.semverCompare('=> 1.2', '1.2.0')", "sprig.semverCompare('=<1.2', '1.2.0')",
	"sprig.semverCompare('~>1.2.3', '1.2.9')", "sprig.semverCompare('^1.2.3-beta', '1.2.3-rc')", "sprig.semverCompare('^1.2.3-beta', '1.2.4-rc')",
	"sprig.semverCompare('', '1.2.3')", "sprig.semverCompare('1', '1.7.0')", "sprig.semverCompare('1.2', '1.2.7')", "sprig.semverCompare('^1', '1.7.0')",
	"sprig.semverCompare('>=1.2.3', '1.2.3+b')", "sprig.semverCompare('<2.0.0', '2.0.0-rc')", "sprig.semverCompare('^0', '0.9.0')", "sprig.semverCompare('^0.0', '0.0.9')", "sprig.semverCompare('^0.0', '0.1.0')",
}

// What depends on the machine, and what programs use to store a value.
func skipped(name string) bool {
	return name == "Local" || name == "ZoneBounds" || name == "GoString" || name == "GobEncode" ||
		strings.HasPrefix(name, "Marshal")
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
			var out []byte
			if out, err = json.Marshal(value); err == nil {
				found["json"] = string(out)
			}
		}
	}
	if err != nil {
		found["error"] = err.Error()
	}
	return found
}

func main() {
	functions := sprig.GenericFuncMap()
	delete(functions, "env")
	delete(functions, "expandenv")
	env := map[string]any{"sprig": functions, "asInt": builtin.Int, "asFloat": builtin.Float}
	env["toJson"] = func(v any) string { out, _ := json.Marshal(v); return string(out) }
	found := []map[string]any{}
	names := strings.NewReplacer("DAY", day, "PART", part, "ZONED", zoned, "EAST", east, "SPAN", span, "TINY", tiny,
		"VERSION", version, "PLAIN", plain)
	for _, text := range expressions {
		found = append(found, answer(names.Replace(text), env))
	}
	for _, value := range order {
		kind := values[value]
		for index := 0; index < kind.NumMethod(); index++ {
			if method := kind.Method(index); method.Type.NumIn() == 1 && !skipped(method.Name) {
				found = append(found, answer(value+"."+method.Name+"()", env))
			}
		}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	out.Encode(map[string]any{"about": "expr-lang 1.17.8 with sprig 3.3.0 (go/methods.go)", "cases": found})
}
