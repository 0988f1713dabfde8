package serve

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/golden"
	"github.com/opbeans/loadgen/report"
)

// Environ is an environment for getenv.
func environ(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

func TestSettings(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want func(*Settings)
		err  string
	}{
		{name: "defaults", want: func(*Settings) {}},
		{
			name: "flags",
			args: []string{"-addr", ":1", "-demo", "-log-level", "warn", "-log-format", "json", "-origins", "http://a, http://b"},
			want: func(s *Settings) {
				s.addr, s.demo, s.logLevel, s.logFormat.value = ":1", true, slog.LevelWarn, "json"
				s.origins = origins{"http://a", "http://b"}
			},
		},
		{
			name: "environment",
			env:  map[string]string{"LOADGEN_ADDR": ":2", "LOADGEN_DEMO": "true", "LOADGEN_TARGET": "http://toxi:{port}", "LOADGEN_STOP_TIMEOUT": "1s"},
			want: func(s *Settings) {
				s.addr, s.demo, s.target, s.stopTimeout = ":2", true, "http://toxi:{port}", time.Second
			},
		},
		{
			name: "what is expected of tasks, by lines",
			args: []string{"-apm", ":8200", "-apm-services", "order=shop, stock", "-apm-services", "home=shop"},
			env:  map[string]string{"LOADGEN_APM_NAME": "home=GET /\n order = a=b,c\n\n", "LOADGEN_APM_ERRORS": "always"},
			want: func(s *Settings) {
				s.apm.Addr, s.apm.errors.value = ":8200", "always"
				s.apm.names = command.TaskFlag{"home": "GET /", "order": "a=b,c"}
				s.apm.services = command.TaskFlag{"order": "shop, stock", "home": "shop"}
			},
		},
		{
			name: "a flag wins, even by its default",
			args: []string{"-addr", "127.0.0.1:8999", "-demo=false"},
			env:  map[string]string{"LOADGEN_ADDR": ":2", "LOADGEN_DEMO": "true"},
			want: func(*Settings) {},
		},
		{name: "an empty variable is not set", env: map[string]string{"LOADGEN_ADDR": ""}, want: func(*Settings) {}},
		{name: "a version is none of ours", env: map[string]string{"LOADGEN_VERSION": "1.2"}, want: func(*Settings) {}},
		{name: "bad variable", env: map[string]string{"LOADGEN_DEMO": "perhaps"}, err: `invalid value "perhaps" for LOADGEN_DEMO: `},
		{name: "bad origins", args: []string{"-origins", "localhost:9000"}, err: `"localhost:9000" must be *, or an origin`},
		{name: "bad target", args: []string{"-target", "toxi:{port}"}, err: "must be an http or https URL with {port}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got Settings
			fs := got.Flags()
			_, err := command.Parse(fs, tt.args)
			if err == nil {
				err = got.Load(fs, environ(tt.env))
				assert.Equal(t, tt.err != "", command.ExitCode(err) == command.ExitUsage)
			}
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			var want Settings
			require.NoError(t, want.Flags().Parse(nil))
			tt.want(&want)
			assert.Equal(t, want, got)
		})
	}
}

func TestStandaloneJobs(t *testing.T) {
	jobs, unused, err := standaloneJobs(environ(map[string]string{
		"OPBEANS_URLS": "opbeans-node:http://opbeans-node:3000, opbeans-java-2:https://java/base,plain:http://plain:1",
		"OPBEANS_RPMS": "opbeans-java-2:0.5,opbeans-go:7",
		"OPBEANS_RLS":  "opbeans-node:500",
	}))
	require.NoError(t, err)
	assert.Equal(t, []string{"opbeans-go"}, unused)
	job := func(name, service, url string, rate loadgen.Rate, d time.Duration) loadgen.JobConfig {
		return loadgen.JobConfig{
			Name: name, ServiceName: service, BaseURL: url, Rate: rate, Duration: d,
			ScenarioName: "standalone",
		}
	}
	const year = 365 * 24 * time.Hour
	assert.Equal(t, []loadgen.JobConfig{
		job("node", "opbeans-node", "http://opbeans-node:3000", loadgen.PerMinute(100), 500*time.Second),
		job("java2", "opbeans-java-2", "https://java/base", loadgen.Rate{Count: 5, Per: 10 * time.Minute}, year),
		job("plain", "plain", "http://plain:1", loadgen.PerMinute(100), year),
	}, jobs)
}

func FuzzStandaloneJobs(f *testing.F) {
	f.Add("opbeans-node:http://opbeans-node:3000", "opbeans-node:100", "opbeans-node:500")
	f.Add("a:http://b,c-d:https://e/", "a:0.5", "c-d:1e3")
	f.Add("a", ":", "a:NaN")
	f.Fuzz(func(t *testing.T, urls, rpms, seconds string) {
		jobs, _, err := standaloneJobs(environ(map[string]string{
			"OPBEANS_URLS": urls, "OPBEANS_RPMS": rpms, "OPBEANS_RLS": seconds,
		}))
		if err != nil {
			assert.NotContains(t, err.Error(), "\n", "one line")
			return
		}
		for _, cfg := range jobs {
			assert.NoError(t, cfg.Validate(), "what is accepted can be started")
			assert.Positive(t, cfg.Rate.Hz())
			assert.Positive(t, cfg.Duration)
		}
	})
}

func TestSummary(t *testing.T) {
	busy := &loadgen.Snapshot{Job: "python", State: loadgen.StateStopped, Reason: "stopped on request", Elapsed: 61500 * time.Millisecond}
	busy.Iterations, busy.FailedIterations, busy.Interrupted = 1230, 12, 2
	busy.Requests, busy.FailedRequests = 1235, 12
	busy.Errors = map[loadgen.ErrorClass]loadgen.ErrorStat{
		loadgen.ClassCheck: {Count: 10, Sample: "GET /oopsie: status 200, expected 500"},
		loadgen.ClassDial:  {Count: 2, Sample: "connection refused"},
	}
	for i := range 1235 {
		busy.Service.Record(time.Duration(i) * 100 * time.Microsecond)
	}
	for i := range 1230 {
		busy.Response.Record(time.Duration(i) * 10 * time.Millisecond)
	}
	idle := &loadgen.Snapshot{Job: "idle", State: loadgen.StateFinished}

	var b bytes.Buffer
	writeSummary(&b, []*report.Report{{Snapshot: busy}, {Snapshot: idle}})
	writeSummary(&b, nil)
	golden.Check(t, "testdata/summary.golden", b.Bytes())
}
