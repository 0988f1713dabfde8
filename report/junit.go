package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opbeans/loadgen"
)

// The elements of JUnit XML, as far as CI systems agree on them: the schema junit-10.xsd
// of Jenkins' xUnit plugin, which refuses anything else.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		Class     string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitProblem `xml:"failure,omitempty"`
		Error     *junitProblem `xml:"error,omitempty"`
		Skipped   *junitProblem `xml:"skipped,omitempty"`
		SystemOut string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes JUnit XML for CI systems. A test case stands for each threshold,
// which fails where that does; for each task, which fails where an iteration of it did,
// and is skipped where it never ran; for what APM agents say, if they were asked, which
// fails where they are wrong and no threshold is about that, and is skipped where nobody can
// tell; and for whether the measurement is valid, which is an error where it is not.
// Failures of tasks count only if the run has no threshold, which says what is too much, or
// if every iteration failed and none is about that.
func (r *Report) WriteJUnit(w io.Writer) error {
	s := r.Snapshot
	var suites []junitSuite
	if len(s.Verdicts) > 0 {
		suites = append(suites, r.suite("thresholds", r.thresholdCases()))
	}
	suites = append(suites, r.suite("tasks", r.taskCases()))
	if a := r.agents(); a != nil {
		suites = append(suites, r.suite("agents", []junitCase{r.agentsCase(a)}))
	}
	suites = append(suites, r.suite("measurement", []junitCase{r.validCase()}))
	all := junitSuites{Name: junitText(r.title()), Time: seconds(s.Elapsed), Suites: suites}
	for _, suite := range suites {
		all.Tests += suite.Tests
		all.Failures += suite.Failures
		all.Errors += suite.Errors
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Report) suite(name string, cases []junitCase) junitSuite {
	s := r.Snapshot
	suite := junitSuite{
		Name: junitText(s.Job + "." + name), Tests: len(cases), Time: seconds(s.Elapsed), Cases: cases,
		Properties: []junitProperty{
			{"scenario", junitText(r.Config.ScenarioName)},
			{"url", junitText(r.Config.BaseURL)},
			{"requests", fmt.Sprint(s.Requests)},
			{"seed", fmt.Sprint(s.Seed)},
		},
	}
	if !s.Started.IsZero() {
		suite.Timestamp = s.Started.UTC().Format("2006-01-02T15:04:05")
	}
	for i := range cases {
		c := &cases[i]
		c.Class = suite.Name
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	return suite
}

func (r *Report) thresholdCases() []junitCase {
	var cases []junitCase
	for _, v := range r.Snapshot.Verdicts {
		c := junitCase{Name: junitText(v.Threshold.String()), Time: seconds(r.Snapshot.Elapsed)}
		switch v.Outcome {
		case loadgen.OutcomePass:
			c.SystemOut = junitText(v.Message)
		default:
			c.Failure = &junitProblem{Message: junitText(v.Message), Type: "threshold"}
		}
		cases = append(cases, c)
	}
	return cases
}

func (r *Report) taskCases() []junitCase {
	s := r.Snapshot
	var cases []junitCase
	for i := range s.Tasks {
		t := &s.Tasks[i]
		if t.Task == "" && t.Iterations == 0 {
			continue // requests outside of any
		}
		c := junitCase{Name: junitText(taskName(t.Task)), Time: seconds(t.Response.Mean())}
		h := &t.Response
		c.SystemOut = fmt.Sprintf("%d iterations, %d failed; p50 %s, p90 %s, p99 %s, max %s", t.Iterations, t.FailedIterations,
			Duration(h.P50()), Duration(h.P90()), Duration(h.P99()), Duration(h.Max()))
		switch {
		case t.Iterations == 0:
			c.SystemOut, c.Skipped = "", &junitProblem{Message: "no iteration ran"}
		case t.FailedIterations > 0 && (len(s.Verdicts) == 0 || s.AllFailed()):
			var text strings.Builder
			for _, f := range failures(&t.Totals) {
				fmt.Fprintf(&text, "%s: %d, for instance: %s\n", f.Class, f.Count, f.Sample)
			}
			c.Failure = &junitProblem{
				Message: fmt.Sprintf("%d of %d iterations failed", t.FailedIterations, t.Iterations),
				Type:    "iterations", Text: junitText(text.String()),
			}
		}
		cases = append(cases, c)
	}
	return cases
}

func (r *Report) agentsCase(a *agents) junitCase {
	c := junitCase{Name: "agents told of every request", Time: seconds(r.Snapshot.Elapsed)}
	line := junitText(a.Line())
	switch {
	case slices.ContainsFunc(r.Snapshot.Verdicts, func(v loadgen.Verdict) bool { return v.Threshold.About("apm.") }):
		c.SystemOut = line
	case a.wrong():
		c.Failure = &junitProblem{Message: line, Type: "agents"}
	case !a.OK:
		c.Skipped = &junitProblem{Message: line}
	default:
		c.SystemOut = line
	}
	return c
}

func (r *Report) validCase() junitCase {
	c := junitCase{Name: "the generator was not the limit", Time: seconds(r.Snapshot.Elapsed)}
	if !r.Snapshot.Valid {
		c.Error = &junitProblem{Message: junitText(strings.Join(r.Snapshot.Invalid, "; ")), Type: "invalid"}
	}
	return c
}

func seconds(d time.Duration) string { return decimal(d.Seconds()) }

// junitText drops what XML cannot hold.
func junitText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != utf8.RuneError && r != 0xFFFE && r != 0xFFFF {
			return r
		}
		return -1
	}, s)
}
