package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/report"
)

func text(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, write(&b))
	return b.String()
}

func TestText(t *testing.T) {
	r := sample()
	got := text(t, r.WriteText)
	golden.Check(t, "testdata/summary.txt", []byte(got))
	assert.LessOrEqual(t, strings.Count(got, "\n"), 24, "it fits a screen")
}

// TestTextFitsAScreen gives the summary far more of everything than a screen holds.
func TestTextFitsAScreen(t *testing.T) {
	r := sample()
	s := r.Snapshot
	for i := range 50 {
		name := strings.Repeat("x", i+1)
		s.Tasks = append(s.Tasks, loadgen.TaskSnapshot{Task: name, Totals: s.Tasks[0].Totals})
		s.Verdicts = append(s.Verdicts, loadgen.MustThresholds("p99 < 1ms")[0].Evaluate(s))
	}
	for _, class := range []loadgen.ErrorClass{loadgen.ClassDial, loadgen.ClassTLS, loadgen.ClassTimeout, loadgen.ClassReset, loadgen.ClassPanic} {
		s.Errors[class] = loadgen.ErrorStat{Count: 1, Sample: strings.Repeat("long\n", 100)}
	}
	s.Invalid = append(s.Invalid, s.Invalid[0], s.Invalid[0])
	got := text(t, r.WriteText)
	assert.LessOrEqual(t, strings.Count(got, "\n"), 24, got)
	assert.Contains(t, got, "and 48 more tasks")
	assert.Contains(t, got, "and 51 more thresholds, the worst of which is fail")
	assert.Contains(t, got, "and 3 more classes of errors")
}

func TestCSV(t *testing.T) {
	r := sample()
	r.Intervals = append(r.Intervals, report.Interval{From: 5 * time.Second, To: 6 * time.Second})
	got := text(t, r.WriteCSV)
	golden.Check(t, "testdata/intervals.csv", []byte(got))
	rows, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+6)
	for at, name := range rows[0] {
		if name == "response_p99_ms" {
			assert.Empty(t, rows[6][at], "nothing was measured: unknown, not zero")
		}
	}
}

func TestJUnit(t *testing.T) {
	r := sample()
	got := text(t, r.WriteJUnit)
	golden.Check(t, "testdata/junit.xml", []byte(got))

	var all struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Name    string `xml:"name,attr"`
			Skipped int    `xml:"skipped,attr"`
			Cases   []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal([]byte(got), &all))
	assert.Equal(t, 4+3+1, all.Tests)
	assert.Equal(t, 1, all.Failures, "the threshold, and not the tasks, of which it says what is too much")
	assert.Equal(t, 1, all.Errors, "the generator was the limit")
	assert.Equal(t, 1, all.Suites[1].Skipped, "a task that never ran")
	assert.Equal(t, "p50 < 100ms", all.Suites[0].Cases[0].Name)

	r.Snapshot.Verdicts = nil
	require.NoError(t, xml.Unmarshal([]byte(text(t, r.WriteJUnit)), &all))
	assert.Equal(t, 1, all.Failures, "without thresholds, a failed iteration fails its task")
}

// TestJUnitIsWhatJenkinsTakes holds that there are no other elements and attributes than
// those of the schema that Jenkins' xUnit plugin validates against.
func TestJUnitIsWhatJenkinsTakes(t *testing.T) {
	allowed := map[string]string{
		"testsuites": "name time tests failures errors",
		"testsuite":  "name tests failures errors group time skipped timestamp hostname id package file log url",
		"properties": "", "property": "name value", "testcase": "name time classname group",
		"failure": "type message", "error": "type message", "skipped": "type message", "system-out": "",
	}
	d := xml.NewDecoder(strings.NewReader(text(t, sample().WriteJUnit)))
	for seen := 0; ; seen++ {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			assert.Greater(t, seen, 50)
			return
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok {
			require.Contains(t, allowed, start.Name.Local)
			for _, a := range start.Attr {
				assert.Contains(t, strings.Fields(allowed[start.Name.Local]), a.Name.Local, start.Name.Local)
				if a.Name.Local == "time" {
					assert.Regexp(t, `^[0-9]*(\.[0-9]*)?$`, a.Value)
				}
			}
		}
	}
}

// TestJSON holds that reading gives back what was written, and that both are as the
// published schema says.
func TestJSON(t *testing.T) {
	r := sample()
	got := text(t, r.WriteJSON)
	var value any
	require.NoError(t, json.Unmarshal([]byte(got), &value))
	assert.NoError(t, schema(t).Validate(value))

	back, err := report.ReadJSON(strings.NewReader(got))
	require.NoError(t, err)
	assert.True(t, assert.ObjectsAreEqual(r, back), "what was read is what was written")
	assert.Equal(t, got, text(t, back.WriteJSON))
}

// TestSchemaIsStrict holds that the schema refuses what is not a report, so that its
// validation says something.
func TestSchemaIsStrict(t *testing.T) {
	for _, change := range []func(m map[string]any){
		func(m map[string]any) { m["more"] = 1 },
		func(m map[string]any) { delete(m, "snapshot") },
		func(m map[string]any) { m["version"] = 2 },
		func(m map[string]any) { m["intervals"].([]any)[0].(map[string]any)["requests"] = "3" },
		func(m map[string]any) { m["snapshot"].(map[string]any)["response"].(map[string]any)["buckets"] = 1 },
		func(m map[string]any) { m["snapshot"].(map[string]any)["requests"] = -1 },
		func(m map[string]any) { m["snapshot"].(map[string]any)["groups"] = []any{map[string]any{"group": 1}} },
	} {
		var value map[string]any
		require.NoError(t, json.Unmarshal([]byte(text(t, sample().WriteJSON)), &value))
		require.NoError(t, schema(t).Validate(value))
		change(value)
		assert.Error(t, schema(t).Validate(value))
	}
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	s, err := c.Compile("../docs/report.schema.json")
	require.NoError(t, err)
	return s
}

func TestReadJSONRefuses(t *testing.T) {
	whole := text(t, sample().WriteJSON)
	for _, tt := range []struct{ text, want string }{
		{"", "not JSON"},
		{"{}", "not a report of loadgen"},
		{`{"format":"loadgen-report","version":9}`, "has version 9, and this program reads version 1"},
		{whole[:len(whole)/2], "not JSON"},
		{`{"format":"loadgen-report","version":1}`, "has no snapshot"},
		{strings.Replace(whole, `"record":`, `"more":`, 1), "an interval has no record"},
		{strings.Replace(whole, `"from_ns":0`, `"from_ns":-1`, 1), "impossible times"},
	} {
		_, err := report.ReadJSON(strings.NewReader(tt.text))
		assert.ErrorContains(t, err, tt.want)
	}
}

func FuzzReadJSON(f *testing.F) {
	var b bytes.Buffer
	require.NoError(f, sample().WriteJSON(&b))
	f.Add(b.Bytes())
	f.Add([]byte(`{"format":"loadgen-report","version":1,"config":{},"snapshot":{"version":1},"intervals":[{"record":{"version":1}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := report.ReadJSON(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, format := range report.Formats() {
			o := report.Output{Format: format, File: "-"}
			assert.NoError(t, o.Write(r, io.Discard), "what can be read can be written as %s", format.Name)
		}
	})
}

// TestHLog reads the log back with the library that the format's other tools share it
// with, and finds the distribution again.
func TestHLog(t *testing.T) {
	r := sample()
	log := text(t, r.WriteHLog)
	golden.Check(t, "testdata/intervals.hlog", []byte(log))
	reader := hdrhistogram.NewHistogramLogReader(strings.NewReader(log))
	total := map[string]*hdrhistogram.Histogram{}
	intervals := 0
	for {
		h, err := reader.NextIntervalHistogram()
		require.NoError(t, err)
		if h == nil {
			break
		}
		if h.Tag() == "" {
			started := r.Snapshot.Started.UnixMilli()
			assert.Equal(t, started+r.Intervals[intervals].From.Milliseconds(), h.StartTimeMs())
			assert.Equal(t, started+r.Intervals[intervals].To.Milliseconds(), h.EndTimeMs())
			intervals++
		}
		if total[h.Tag()] == nil {
			total[h.Tag()] = hdrhistogram.New(1, int64(24*time.Hour), 3)
		}
		assert.Zero(t, total[h.Tag()].Merge(h))
	}
	assert.Equal(t, len(r.Intervals), intervals)
	for tag, h := range map[string]*loadgen.Histogram{"": &r.Snapshot.Response, "service": &r.Snapshot.Service} {
		require.NotNil(t, total[tag], tag)
		assert.Equal(t, int64(h.Count()), total[tag].TotalCount())
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
			assert.InEpsilon(t, float64(h.Quantile(q)), float64(total[tag].ValueAtQuantile(100*q)), 0.002, "%q at %v", tag, q)
		}
	}
	assert.Regexp(t, `(?m)^#\[Histogram log format version 1\.3\]$`, log)
	assert.Regexp(t, `(?m)^#\[StartTime: [0-9]+\.[0-9]{3} \(seconds since epoch\), `, log)
}

// TestHTML holds that the page is whole, asks for nothing from elsewhere, and shows what
// others have named as text.
func TestHTML(t *testing.T) {
	r := sample()
	page := text(t, r.WriteHTML)
	assert.NotContains(t, page, "<script>alert", "a task's name is text")
	assert.NotContains(t, page, "/?q=<b>", "an error's message is text")
	assert.Contains(t, page, "shop &lt;&amp;&gt;")
	assert.Contains(t, page, "&lt;script&gt;alert(1)&lt;/script&gt;")
	assert.Contains(t, page, "<td>check out &lt;now&gt;<td>2<td>0.4<td class=\"bad-text\">1<td class=\"bad-text\">50 %<td>1s")
	assert.NotRegexp(t, `(?i)(src|href)\s*=\s*["']?(https?:|//|[a-z]+\.)`, page, "nothing is loaded")
	assert.NotRegexp(t, `(?i)@import|url\(|fetch\(|XMLHttpRequest|<link rel="stylesheet`, page)
	assert.Contains(t, page, `content="default-src 'none';`)
	assert.NotContains(t, page, "NaN")
	assert.NotContains(t, page, "ZgotmplZ")
	assert.Equal(t, 6, strings.Count(page, "<svg "))
	for _, svg := range regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(page, -1) {
		assert.NoError(t, wellFormed(svg))
	}
	assert.Contains(t, page, `<b>Failed</b>`)
	assert.Less(t, len(page), 200_000)
}

// TestHTMLOfLittle draws reports that have next to nothing to draw.
func TestHTMLOfLittle(t *testing.T) {
	empty := report.New(loadgen.JobConfig{}, &loadgen.Snapshot{Valid: true})
	assert.NotContains(t, text(t, empty.WriteHTML), "<svg ")
	one := report.New(loadgen.JobConfig{}, &loadgen.Snapshot{Valid: true, Elapsed: time.Second})
	one.Snapshot.Response.Record(0)
	one.Intervals = []report.Interval{{To: time.Second / 2}, {From: time.Second / 2, To: time.Second, Totals: one.Snapshot.Totals}}
	page := text(t, one.WriteHTML)
	assert.NotContains(t, page, "NaN")
	assert.NotContains(t, page, "Inf")
	for _, svg := range regexp.MustCompile(`(?s)<svg .*?</svg>`).FindAllString(page, -1) {
		assert.NoError(t, wellFormed(svg))
	}
}

func wellFormed(s string) error {
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestSecrets holds that no format shows what is nobody's business.
func TestSecrets(t *testing.T) {
	r := sample()
	for _, format := range report.Formats() {
		got := text(t, func(w io.Writer) error { return report.Output{Format: format, File: "-"}.Write(r, w) })
		assert.NotContains(t, got, "geheim", format.Name)
	}
	assert.Equal(t, "blue", r.Config.Headers["X-Color"])
	assert.Equal(t, "3", r.Config.Variables["BUYERS"])
}

func TestParseOutput(t *testing.T) {
	for spec, want := range map[string][2]string{
		"run.json": {"json", "run.json"}, "a/b.HTML": {"html", "a/b.HTML"}, "x.xml": {"junit", "x.xml"},
		"junit:x": {"junit", "x"}, "-": {"json", "-"}, "csv:-": {"csv", "-"}, "c:x.hlog": {"hlog", "c:x.hlog"},
	} {
		o, err := report.ParseOutput(spec)
		require.NoError(t, err, spec)
		assert.Equal(t, want, [2]string{o.Format.Name, o.File}, spec)
	}
	for _, spec := range []string{"", "run", "run.pdf", "json:", "yaml:x"} {
		_, err := report.ParseOutput(spec)
		assert.Error(t, err, spec)
	}
}

// TestWriteFile holds that a file is there as a whole or as it was before.
func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "run.json")
	require.NoError(t, os.WriteFile(file, []byte("before"), 0o600))
	bad := sample()
	bad.Config.Weights = map[string]float64{"home": inf()} // which JSON cannot hold
	require.Error(t, bad.WriteFile(file))
	left, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "before", string(left))

	link := filepath.Join(dir, "latest.json")
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, sample().WriteFile(link))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&os.ModeSymlink, "the link is still one")
	written, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = written.Close() }()
	_, err = report.ReadJSON(written)
	require.NoError(t, err)
	info, err = os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "its mode stays")

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "nothing is left beside them")

	assert.Error(t, sample().WriteFile(filepath.Join(dir, "no", "run.json")))
	o, err := report.ParseOutput(filepath.Join(dir, "no", "run.json"))
	require.NoError(t, err)
	assert.Error(t, o.Check(), "which shows before the run")
	o, err = report.ParseOutput("json:" + dir)
	require.NoError(t, err)
	assert.ErrorContains(t, o.Check(), "is a folder")
	o, err = report.ParseOutput("json:" + os.DevNull)
	require.NoError(t, err)
	require.NoError(t, o.Check())
	require.NoError(t, o.Write(sample(), nil))
	info, err = os.Stat(os.DevNull)
	require.NoError(t, err)
	assert.False(t, info.Mode().IsRegular(), "a device is written to, not replaced")
}

func inf() float64 { var zero float64; return 1 / zero }
