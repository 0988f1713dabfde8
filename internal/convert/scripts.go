package convert

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What of the scripts of a collection is understood, a line at a time.
var (
	pmSet       = regexp.MustCompile(`^(?:pm\.(?:environment|collectionVariables|globals|variables)\.set|postman\.set(?:Environment|Global)Variable)\(\s*["']([^"']+)["']\s*,\s*(.+?)\s*\)$`)
	pmAlias     = regexp.MustCompile(`^(?:(?:var|let|const)\s+)?([A-Za-z_$][\w$]*)\s*=\s*(?:pm\.response\.json\(\)|JSON\.parse\((?:responseBody|pm\.response\.text\(\))\))$`)
	pmStatus    = regexp.MustCompile(`^pm\.response\.to\.have\.status\(\s*(\d{3})\s*\)$`)
	pmCode      = regexp.MustCompile(`^pm\.expect\(\s*pm\.response\.code\s*\)\.to\.(?:be\.)?(?:equal|eql|eq|equals)\(\s*(\d{3})\s*\)$`)
	pmOneOf     = regexp.MustCompile(`^pm\.expect\(\s*pm\.response\.code\s*\)\.to\.be\.oneOf\(\s*\[([\d,\s]+)\]\s*\)$`)
	pmLegacy    = regexp.MustCompile(`^tests\[.+?\]\s*=\s*responseCode\.code\s*===?\s*(\d{3})$`)
	pmHeader    = regexp.MustCompile(`^pm\.response\.to\.have\.header\(\s*["']([^"']+)["']\s*(?:,\s*["']([^"']*)["']\s*)?\)$`)
	pmTime      = regexp.MustCompile(`^pm\.expect\(\s*pm\.response\.responseTime\s*\)\.to\.be\.(?:below|lessThan|lt)\(\s*(\d+)\s*\)$`)
	pmText      = regexp.MustCompile(`^pm\.expect\(\s*(?:pm\.response\.text\(\)|responseBody)\s*\)\.to\.(?:include|contain)\(\s*("[^"]*"|'[^']*')\s*\)$`)
	pmExpect    = regexp.MustCompile(`^pm\.expect\(\s*(.+?)\s*\)\.to\.(?:be\.)?(?:(equal|eql|eq|equals|deep\.equal|above|below|greaterThan|lessThan)\(\s*("[^"]*"|'[^']*'|-?[\d.]+|true|false|null)\s*\)|(exist|ok|true|false|null))$`)
	pmStructure = regexp.MustCompile(`^(?:pm\.test\(.*(?:\{|=>)|\}?\s*\)?;?|\}\s*\)|\{|//.*|console\.\w+\(.*\)|["']use strict["'])$`)
	pmInline    = regexp.MustCompile(`^pm\.test\(\s*(?:"[^"]*"|'[^']*'|` + "`[^`]*`" + `)\s*,\s*(?:function\s*\(\w*\)\s*\{|\(?\w*\)?\s*=>\s*\{?)\s*(.+?)\s*;?\s*\}?\s*\)$`)
	jsonPath    = regexp.MustCompile(`^(?:\.[A-Za-z_$][\w$]*|\[\d+\]|\["[^"]*"\]|\['[^']*'\])*$`)
)

// pmLine is a line without its semicolon; a test in one line is what is in it.
func pmLine(line string) string {
	line = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), ";"))
	if m := pmInline.FindStringSubmatch(line); m != nil {
		return strings.TrimSpace(strings.TrimSuffix(m[1], ";"))
	}
	return line
}

// fromResponse is the expression for a value of the response in a script. names are the
// variables that hold its JSON.
func fromResponse(text string, names []string) (string, bool) {
	if m := regexp.MustCompile(`^pm\.response\.headers\.get\(\s*["']([^"']+)["']\s*\)$`).FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("header(%q)", m[1]), true
	}
	if m := regexp.MustCompile(`^pm\.cookies\.get\(\s*["']([^"']+)["']\s*\)$`).FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("cookie(%q)", m[1]), true
	}
	if text == "pm.response.code" {
		return "status", true
	}
	for _, name := range append([]string{"pm.response.json()", "JSON.parse(responseBody)"}, names...) {
		if rest, ok := strings.CutPrefix(text, name); ok && jsonPath.MatchString(rest) && !strings.HasSuffix(rest, ".length") {
			return fmt.Sprintf("json(%s)", strconv.Quote("$"+strings.ReplaceAll(rest, "'", `"`))), true
		}
	}
	return "", false
}

// aliases are the variables of a script that hold the JSON of the response.
func aliases(script []string) (names []string) {
	for _, line := range script {
		if m := pmAlias.FindStringSubmatch(pmLine(line)); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// captured are the variables that scripts take from a response before any request refers
// to them, with the place of the request.
func captured(steps []postmanStep) map[string]int {
	taken := map[string]int{}
	used := map[string]bool{}
	for i, p := range steps {
		for _, m := range placeholder.FindAllStringSubmatch(p.raw, -1) {
			if _, ok := taken[identifier(m[1])]; !ok {
				used[identifier(m[1])] = true
			}
		}
		if p.auth != nil {
			for _, list := range [][]postmanPair{p.auth.Basic, p.auth.Bearer, p.auth.APIKey} {
				for _, x := range list {
					for _, m := range placeholder.FindAllStringSubmatch(string(x.Value), -1) {
						if _, ok := taken[identifier(m[1])]; !ok {
							used[identifier(m[1])] = true
						}
					}
				}
			}
		}
		names := aliases(p.script)
		for _, line := range p.script {
			m := pmSet.FindStringSubmatch(pmLine(line))
			if m == nil {
				continue
			}
			name := identifier(m[1])
			if _, ok := fromResponse(m[2], names); ok && !used[name] {
				if _, again := taken[name]; !again {
					taken[name] = i
				}
			}
		}
	}
	return taken
}

// postmanScripts takes what is understood of the scripts of a request; the rest become
// comments.
func (s *Scenario) postmanScripts(p *postmanStep, step *Step, taken map[string]int, n int) {
	leave := func(what string, lines []string) {
		if len(lines) > 0 {
			s.Left++
			step.Comments = append(step.Comments, fmt.Sprintf("not converted (%s):", what))
			for _, line := range lines {
				step.Comments = append(step.Comments, "    "+line)
			}
		}
	}
	code := func(lines []string) (out []string) {
		for _, line := range lines {
			if plain := pmLine(line); plain != "" && !pmStructure.MatchString(plain) {
				out = append(out, strings.TrimRight(line, "\r\n\t "))
			}
		}
		return out
	}
	leave("a script that runs before the request", code(p.before))
	names := aliases(p.script)
	var rest, statuses []string
	for _, line := range code(p.script) {
		if !s.postmanTest(pmLine(line), step, names, taken, n, &statuses) {
			rest = append(rest, line)
		}
	}
	if len(statuses) > 0 {
		step.Statuses = strings.Join(statuses, ", ")
	}
	leave("part of the tests", rest)
}

// postmanTest takes a line of a test.
func (s *Scenario) postmanTest(line string, step *Step, names []string, taken map[string]int, n int, statuses *[]string) bool {
	status := func(list ...string) bool {
		for _, code := range list {
			if code = strings.TrimSpace(code); !regexp.MustCompile(`^[1-5]\d\d$`).MatchString(code) {
				return false
			}
			if !slices.Contains(*statuses, code) {
				*statuses = append(*statuses, code)
			}
		}
		return true
	}
	check := func(format string, args ...any) bool {
		step.Checks = append(step.Checks, fmt.Sprintf(format, args...))
		return true
	}
	for _, re := range []*regexp.Regexp{pmStatus, pmCode, pmLegacy} {
		if m := re.FindStringSubmatch(line); m != nil {
			return status(m[1])
		}
	}
	if m := pmOneOf.FindStringSubmatch(line); m != nil {
		return status(strings.Split(strings.Trim(m[1], ", "), ",")...)
	}
	switch line {
	case "pm.response.to.be.ok", "pm.response.to.be.success":
		return check("status >= 200 && status < 300")
	case "pm.response.to.be.json", "pm.response.to.have.jsonBody()":
		return check(`json("$") != nil`)
	}
	if pmAlias.MatchString(line) {
		return true
	}
	if m := pmHeader.FindStringSubmatch(line); m != nil {
		if m[2] != "" {
			return check("header(%q) == %q", m[1], m[2])
		}
		return check("header(%q) != nil", m[1])
	}
	if m := pmTime.FindStringSubmatch(line); m != nil {
		return check("duration < %sms", m[1])
	}
	if m := pmText.FindStringSubmatch(line); m != nil {
		return check("body contains %s", strconv.Quote(m[1][1:len(m[1])-1]))
	}
	if m := pmSet.FindStringSubmatch(line); m != nil {
		name := identifier(m[1])
		value, ok := fromResponse(m[2], names)
		if at, capture := taken[name]; ok && capture && at <= n {
			step.Captures = slices.DeleteFunc(step.Captures, func(f Field) bool { return f.Name == variable(name) })
			step.Captures = append(step.Captures, Field{variable(name), value})
			return true
		}
		return false
	}
	m := pmExpect.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	value, ok := fromResponse(m[1], names)
	if !ok {
		return false
	}
	switch m[4] {
	case "exist", "ok":
		return check("%s != nil", value)
	case "true", "false":
		return check("%s == %s", value, m[4])
	case "null":
		return check("%s == nil", value)
	}
	sign := map[string]string{"above": ">", "greaterThan": ">", "below": "<", "lessThan": "<"}[m[2]]
	if sign == "" {
		sign = "=="
	}
	want := m[3]
	switch {
	case want == "null":
		want = "nil"
	case want[0] == '\'' || want[0] == '"':
		want = strconv.Quote(want[1 : len(want)-1])
	}
	return check("%s %s %s", value, sign, want)
}
