package loadgen_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// wholeConfig has every field set, and none to its default.
func wholeConfig() loadgen.JobConfig {
	return loadgen.JobConfig{
		Name: "python", ScenarioName: "dyno", BaseURL: "http://localhost:8000/base", ServiceName: "opbeans-python",
		Workers: 3, MaxWorkers: 50, Delay: 600 * time.Millisecond, Rate: loadgen.PerMinute(100),
		RampUp: 1500 * time.Millisecond, Duration: 365 * 24 * time.Hour, MaxIterations: math.MaxUint64,
		Variables: map[string]string{"A": "x", "B": ""}, Weights: map[string]float64{"root": 2.5},
		Headers: map[string]string{"X-A": "b"}, Seed: math.MaxUint64, Grace: loadgen.Off,
		Client: loadgen.ClientConfig{ConnectTimeout: time.Nanosecond, HeaderTimeout: time.Second, Timeout: time.Minute, MaxBody: math.MaxInt64, HTTP: "1.1", Reuse: "shared", Proxy: "http://user:pass@proxy:3128", ConnectTo: map[string]string{"localhost:8000": "unix:/run/shop.sock"}, LocalAddr: "127.0.0.2", DNSTTL: loadgen.Off, Insecure: true, CACerts: "PEM"},

		Thresholds: loadgen.MustThresholds("p99 <= 200ms", "error_rate < 1% abort after 1m"),

		Trace: loadgen.TraceConfig{Enabled: true, Ratio: loadgen.Off, State: "es=s:0", Baggage: "a=b", Header: "X-Loadgen"},
	}
}

func TestJobConfigJSON(t *testing.T) {
	cfg := wholeConfig()
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	assert.Equal(t, `{"job":"python","scenario":"dyno","url":"http://localhost:8000/base","service_name":"opbeans-python",`+
		`"workers":3,"max_workers":50,"delay":0.6,"rate":"100/m","ramp_up":1.5,"duration":31536000,"max_iterations":18446744073709551615,`+
		`"thresholds":["p99 \u003c= 200ms","error_rate \u003c 1% abort after 1m0s"],`+
		`"variables":{"A":"x","B":""},"weights":{"root":2.5},"headers":{"X-A":"b"},`+
		`"trace":true,"trace_ratio":-1,"tracestate":"es=s:0","baggage":"a=b","trace_header":"X-Loadgen","seed":"18446744073709551615","grace":-1,`+
		`"connect_timeout":0.000000001,"header_timeout":1,"timeout":60,"max_body":9223372036854775807,"http":"1.1",`+
		`"reuse":"shared","proxy":"http://user:pass@proxy:3128","connect_to":{"localhost:8000":"unix:/run/shop.sock"},`+
		`"local_addr":"127.0.0.2","dns_ttl":-1,"insecure":true,"ca_certs":"PEM"}`, string(text))
	var back loadgen.JobConfig
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, cfg, back)

	text, err = json.Marshal(loadgen.JobConfig{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"job":"","scenario":"","url":"","workers":0,"delay":0,"duration":0}`, string(text))
	require.NoError(t, json.Unmarshal(text, new(loadgen.JobConfig)))

	text, err = json.Marshal(loadgen.JobConfig{Scenario: loadgen.NewScenario("shop"), ScenarioName: "other"})
	require.NoError(t, err)
	assert.Contains(t, string(text), `"scenario":"shop"`, "the one that counts")
}

func TestJobConfigJSONIsLenientAboutNumbers(t *testing.T) {
	for text, want := range map[string]loadgen.JobConfig{
		`{"workers":"3"}`:                           {Workers: 3},
		`{"workers":4e2}`:                           {Workers: 400},
		`{"workers":4.0}`:                           {Workers: 4},
		`{"max_iterations":"1e3"}`:                  {MaxIterations: 1000},
		`{"delay":"0.600"}`:                         {Delay: 600 * time.Millisecond},
		`{"delay":".5"}`:                            {Delay: 500 * time.Millisecond},
		`{"delay":1e-3}`:                            {Delay: time.Millisecond},
		`{"delay":0.0000000014}`:                    {Delay: time.Nanosecond},
		`{"delay":1e-999999999}`:                    {},
		`{"delay":"1m30s"}`:                         {Delay: 90 * time.Second},
		`{"delay":"-1m"}`:                           {Delay: -time.Minute},
		`{"duration":9223372036.854775807}`:         {Duration: math.MaxInt64},
		`{"rate":50}`:                               {Rate: loadgen.PerSecond(50)},
		`{"rate":"0"}`:                              {},
		`{"seed":18446744073709551615}`:             {Seed: math.MaxUint64},
		`{"grace":"-1","trace_ratio":-1}`:           {Grace: loadgen.Off, Trace: loadgen.TraceConfig{Ratio: loadgen.Off}},
		`{"dns_ttl":-1,"insecure":"true"}`:          {Client: loadgen.ClientConfig{DNSTTL: loadgen.Off, Insecure: true}},
		`{"dns_ttl":"1m","insecure":false}`:         {Client: loadgen.ClientConfig{DNSTTL: time.Minute}},
		`{"variables":{"A":1.50,"B":true,"C":"x"}}`: {Variables: map[string]string{"A": "1.50", "B": "true", "C": "x"}},
		`{"weights":{"a":"2.5"}}`:                   {Weights: map[string]float64{"a": 2.5}},
		` { "job" : "x" , "url" : null } `:          {Name: "x"},
		`null`:                                      {},
	} {
		var got loadgen.JobConfig
		require.NoError(t, json.Unmarshal([]byte(text), &got), text)
		assert.Equal(t, want, got, text)
	}
}

func TestJobConfigJSONFaults(t *testing.T) {
	for text, field := range map[string]string{
		`{"worker":3}`:                      "worker",
		`{"Workers":3}`:                     "Workers",
		`{"job":5}`:                         "job",
		`{"workers":1.5}`:                   "workers",
		`{"workers":"many"}`:                "workers",
		`{"workers":true}`:                  "workers",
		`{"workers":[3]}`:                   "workers",
		`{"workers":1e300}`:                 "workers",
		`{"workers":"NaN"}`:                 "workers",
		`{"max_body":" 5 "}`:                "max_body",
		`{"max_iterations":-1}`:             "max_iterations",
		`{"seed":18446744073709551616}`:     "seed",
		`{"seed":-1}`:                       "seed",
		`{"delay":"NaN"}`:                   "delay",
		`{"delay":"Inf"}`:                   "delay",
		`{"delay":"0x10"}`:                  "delay",
		`{"delay":"1_000"}`:                 "delay",
		`{"delay":""}`:                      "delay",
		`{"delay":"1/2"}`:                   "delay",
		`{"delay":1e309}`:                   "delay",
		`{"duration":9223372036.854775808}`: "duration",
		`{"rate":"fast"}`:                   "rate",
		`{"variables":[]}`:                  "variables",
		`{"variables":{"A":{}}}`:            "variables.A",
		`{"weights":{"a":"NaN"}}`:           "weights.a",
		`{"headers":{"X":1}}`:               "headers.X",
		`{"http":2}`:                        "http",
		`{"insecure":1}`:                    "insecure",
		`{"insecure":"yes"}`:                "insecure",
		`{"connect_to":{"a:1":5}}`:          "connect_to.a:1",
		`{"dns_ttl":"soon"}`:                "dns_ttl",
		`{"dns_ttl":0}`:                     "dns_ttl",
		`{"grace":"0"}`:                     "grace",
		`{"grace":-2}`:                      "grace",
		`{"grace":"-1ns"}`:                  "grace",
		`{"trace_ratio":0}`:                 "trace_ratio",
		`{"trace_ratio":-0.5}`:              "trace_ratio",
	} {
		cfg := wholeConfig()
		err := json.Unmarshal([]byte(text), &cfg)
		var invalid *loadgen.ValidationError
		require.ErrorAs(t, err, &invalid, text)
		require.Len(t, invalid.Fields, 1, text)
		assert.Equal(t, field, invalid.Fields[0].Field)
		assert.Equal(t, wholeConfig(), cfg, "unchanged")
	}
	err := new(loadgen.JobConfig).UnmarshalJSON([]byte(`{"worker":3,"delay":"x","variables":{"B":[],"A":[]},"rate":null}`))
	assert.EqualError(t, err, `invalid job: delay: must be a number of seconds or a duration, for instance 0.6 or "1m30s", not "x"; `+
		`variables.A: must be text, a number, true or false, not []; variables.B: must be text, a number, true or false, not []; `+
		`worker: is not a setting of a job (did you mean "workers"?)`)
	err = json.Unmarshal([]byte(`{"duration":"1h30"}`), new(loadgen.JobConfig))
	assert.EqualError(t, err, `invalid job: duration: must have a unit at its end: write 1h30m or 1h30s, not "1h30"`)
	assert.Error(t, json.Unmarshal([]byte(`[]`), new(loadgen.JobConfig)))
	_, err = json.Marshal(loadgen.JobConfig{Weights: map[string]float64{"a": math.NaN()}})
	assert.ErrorContains(t, err, "weights")
}

func TestJobConfigJSONAddsToWhatIsThere(t *testing.T) {
	cfg, want := wholeConfig(), wholeConfig()
	shared := cfg.Variables
	require.NoError(t, json.Unmarshal([]byte(`{"delay":1,"variables":{"A":null,"C":3},"headers":{"X-A":"c"},"grace":null}`), &cfg))
	want.Delay = time.Second
	want.Variables = map[string]string{"B": "", "C": "3"}
	want.Headers = map[string]string{"X-A": "c"}
	assert.Equal(t, want, cfg)
	assert.Equal(t, wholeConfig().Variables, shared, "a copy of the config does not notice")

	cfg.Scenario = loadgen.NewScenario("value")
	require.NoError(t, json.Unmarshal([]byte(`{"scenario":"name"}`), &cfg))
	assert.Nil(t, cfg.Scenario, "the name takes its place")
}

// FuzzJobConfigJSON: whatever can be read is written in a form that reads the same.
func FuzzJobConfigJSON(f *testing.F) {
	whole, err := json.Marshal(wholeConfig())
	require.NoError(f, err)
	f.Add(whole)
	f.Add([]byte(`{"delay":"1m30s","rate":0.5,"seed":1,"grace":-1,"variables":{"A":1}}`))
	f.Add([]byte(`{"duration":-9223372036.854775808,"workers":"1e3","weights":{"a":1e-320}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var cfg loadgen.JobConfig
		if json.Unmarshal(text, &cfg) != nil {
			assert.Zero(t, cfg)
			return
		}
		written, err := json.Marshal(cfg)
		require.NoError(t, err)
		var back loadgen.JobConfig
		require.NoError(t, json.Unmarshal(written, &back), "%s", written)
		again, err := json.Marshal(back)
		require.NoError(t, err)
		assert.Equal(t, string(written), string(again))
		assert.Equal(t, cfg.Rate.Hz(), back.Rate.Hz())
		cfg.Rate = back.Rate // one rate has several spellings
		normalize(&cfg)
		normalize(&back)
		assert.Equal(t, cfg, back)
	})
}

// normalize makes a map that is empty one that is not there.
func normalize(c *loadgen.JobConfig) {
	if len(c.Variables) == 0 {
		c.Variables = nil
	}
	if len(c.Weights) == 0 {
		c.Weights = nil
	}
	if len(c.Headers) == 0 {
		c.Headers = nil
	}
	if len(c.Client.ConnectTo) == 0 {
		c.Client.ConnectTo = nil
	}
}

// FuzzJobConfigSeconds: every duration survives, to the nanosecond.
func FuzzJobConfigSeconds(f *testing.F) {
	for _, d := range []int64{0, 1, -1, 999_999_999, 600_000_000, 31536000e9, math.MaxInt64, math.MinInt64} {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, ns int64) {
		cfg := loadgen.JobConfig{Delay: time.Duration(ns)}
		text, err := json.Marshal(cfg)
		require.NoError(t, err)
		var back loadgen.JobConfig
		require.NoError(t, json.Unmarshal(text, &back), "%s", text)
		assert.Equal(t, cfg, back)
		var slow struct{ Delay float64 }
		require.NoError(t, json.Unmarshal(text, &slow))
		assert.InDelta(t, cfg.Delay.Seconds(), slow.Delay, math.Abs(cfg.Delay.Seconds())*1e-15)
	})
}

func TestHeadersThatTheClientSetsAreFaultsOfAConfiguration(t *testing.T) {
	for name, value := range map[string]string{"Content-Length": "5", "transfer-encoding": "chunked", "trailer": "X-A", "host": "a b"} {
		cfg := loadgen.JobConfig{Name: "x", ScenarioName: "s", BaseURL: "http://localhost", Headers: map[string]string{name: value}}
		var invalid *loadgen.ValidationError
		require.ErrorAs(t, cfg.Validate(), &invalid, name)
		require.Len(t, invalid.Fields, 1, name)
		assert.Equal(t, "headers."+name, invalid.Fields[0].Field)
	}
	cfg := loadgen.JobConfig{Name: "x", ScenarioName: "s", BaseURL: "http://localhost", Headers: map[string]string{"Host": "shop.test:81"}}
	assert.NoError(t, cfg.Validate())
}
