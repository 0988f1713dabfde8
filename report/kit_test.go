package report_test

import (
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/report"
)

// sample is a report with something of everything: three tasks of which one never ran,
// errors, thresholds that hold and that do not, a doubt about the generator, names and
// messages that are markup, and secrets in the configuration.
func sample() *report.Report {
	const seconds = 5
	s := &loadgen.Snapshot{
		Job: "shop <&>", State: loadgen.StateFinished, Reason: "its duration of 5s is over", Revision: 1, Seed: 7,
		Started: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Time: time.Date(2026, 11, 25, 12, 0, 6, 0, time.UTC),
		Elapsed: seconds * time.Second, Workers: 4,
		Invalid:    []string{"schedule lag: 1 % of the iterations that had a VU waiting began 12ms late or more"},
		LateStarts: 3,
		Tasks:      []loadgen.TaskSnapshot{{Task: "home"}, {Task: "never"}, {Task: "<script>alert(1)</script>"}},
	}
	r := report.New(loadgen.JobConfig{
		Name: "shop <&>", ScenarioName: "shop", BaseURL: "http://user:geheim@localhost:8000", Workers: 4,
		Delay: 10 * time.Millisecond, Duration: seconds * time.Second,
		Headers:   map[string]string{"Authorization": "Bearer geheim", "X-Color": "blue"},
		Variables: map[string]string{"API_TOKEN": "geheim", "BUYERS": "3"},
	}, s)
	r.Tool, r.Every = "loadgen test", time.Second
	for second := range seconds {
		i := report.Interval{From: time.Duration(second) * time.Second, To: time.Duration(second+1) * time.Second, VUs: 4}
		for n := range 200 {
			task := &s.Tasks[n%2*2]
			var one loadgen.Totals
			d := time.Duration(5000+n*n*(1+second)) * time.Microsecond
			one.Iterations, one.Requests, one.Sent, one.Received = 1, 1, 100, 2000
			one.Status = map[int]uint64{200: 1}
			if n%50 == 49 {
				one.FailedIterations, one.FailedRequests = 1, 1
				one.Status = map[int]uint64{500: 1}
				one.Errors = map[loadgen.ErrorClass]loadgen.ErrorStat{
					loadgen.ClassCheck: {Count: 1, Sample: "GET /?q=<b>: status 500, expected 200"},
				}
			}
			one.Response.Record(d)
			one.Service.Record(d - time.Millisecond)
			i.Totals.Merge(&one)
			task.Totals.Merge(&one)
			i.Lag.Record(time.Duration(n) * time.Microsecond)
		}
		s.Totals.Merge(&i.Totals)
		s.Lag.Merge(&i.Lag)
		r.Intervals = append(r.Intervals, i)
	}
	s.Tasks[1].Totals.Merge(&loadgen.Totals{})
	s.Groups = []loadgen.GroupSnapshot{{Group: "check out <now>", Count: 2, Failed: 1}}
	s.Groups[0].Time.Record(time.Second)
	s.Groups[0].Time.Record(2 * time.Second)
	for _, text := range []string{"p50 < 100ms", "p99 < 100ms", `p99{task="<script>alert(1)</script>"} < 1s`, "requests{status=404} == 0"} {
		s.Verdicts = append(s.Verdicts, loadgen.MustThresholds(text)[0].Evaluate(s))
	}
	return r
}
