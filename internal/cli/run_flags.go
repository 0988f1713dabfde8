package cli

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
)

// jobFlags are flags that say what a job does. A file of -config is read first, so that
// flags win over it wherever they stand.
type jobFlags struct {
	thresholds []loadgen.Threshold // of flags
	config     string
	changes    []func(*loadgen.JobConfig) // of the flags, in their order
}

// change registers a flag that changes a job's configuration. A value that parse
// refuses is refused at once.
func change[T any](j *jobFlags, fs *flag.FlagSet, name, usage string, parse func(string) (T, error), set func(*loadgen.JobConfig, T)) {
	fs.Func(name, usage, func(s string) error {
		v, err := parse(s)
		if err == nil {
			j.changes = append(j.changes, func(c *loadgen.JobConfig) { set(c, v) })
		}
		return err
	})
}

// threshold adds one, in the place of those of -config that are about the same.
func (j *jobFlags) threshold(c *loadgen.JobConfig, v loadgen.Threshold) {
	about := func(t loadgen.Threshold) loadgen.Threshold {
		t.Compare, t.Bound, t.Abort, t.AbortAfter = t.Compare[:1], 0, false, 0
		return t
	}
	c.Thresholds = append(slices.DeleteFunc(slices.Clone(c.Thresholds), func(t loadgen.Threshold) bool {
		return !slices.Contains(j.thresholds, t) && about(t) == about(v)
	}), v)
	j.thresholds = append(j.thresholds, v)
}

// register adds the flags.
func (j *jobFlags) register(fs *flag.FlagSet) {
	type config = loadgen.JobConfig
	text := func(name, usage string, at func(c *config) *string) {
		change(j, fs, name, usage, asText, func(c *config, v string) { *at(c) = v })
	}
	span := func(name, usage string, at func(c *config) *time.Duration) {
		change(j, fs, name, usage, command.ParseSpan, func(c *config, v time.Duration) { *at(c) = v })
	}
	count := func(name, usage string, at func(c *config) *int) {
		change(j, fs, name, usage, command.ParseInt, func(c *config, v int) { *at(c) = v })
	}
	fs.StringVar(&j.config, "config", "", "`FILE` with the settings of a job, as the API takes them, in JSON or YAML; flags win")

	text("url", "base `URL` of the target", func(c *config) *string { return &c.BaseURL })
	text("name", "`NAME` of the job in reports; without it, that of the scenario", func(c *config) *string { return &c.Name })
	text("service-name", "`NAME` that scenarios see as SERVICE_NAME", func(c *config) *string { return &c.ServiceName })

	change(j, fs, "workers", "`N` virtual users (default 1)", parseWorkers, func(c *config, v int) { c.Workers = v })
	count("max-workers", "at most `N` virtual users with -rate (default 1000)", func(c *config) *int { return &c.MaxWorkers })
	span("delay", "pause of a virtual user between iterations, `TIME`", func(c *config) *time.Duration { return &c.Delay })
	change(j, fs, "rate", "iterations at this `RATE`, such as 100/s, whatever the target does", parseRate,
		func(c *config, v loadgen.Rate) { c.Rate = v })
	change(j, fs, "stages", "course of the job: a `LIST` such as 30s:100/s,1m:100/s,10s:0/s or 30s:20,1m:20", parseStages,
		func(c *config, v []loadgen.Stage) { c.Stages = v })
	span("ramp-up", "`TIME` over which the virtual users, or the rate, begin", func(c *config) *time.Duration { return &c.RampUp })
	span("duration", "`TIME` to run, 0 until Ctrl-C (default 10s, unless something else ends it)", func(c *config) *time.Duration { return &c.Duration })
	change(j, fs, "max-iterations", "end after `N` iterations", parseCount, func(c *config, v uint64) { c.MaxIterations = v })
	change(j, fs, "segment", "`I/N`, the part of the job that this process runs, or N alone, where JOB_COMPLETION_INDEX says which; other flags are about the whole", parseSegment,
		func(c *config, v loadgen.Segment) { c.Segment = v })
	change(j, fs, "start-at", "`WHEN` the iterations begin, such as 2026-11-26T12:00:00Z or +30s, so that segments are in step", parseStart,
		func(c *config, v time.Time) { c.StartAt = v })

	pairFlag(j, fs, "var", "`NAME=VALUE` of a variable of the scenario; may be repeated", "=", asText, func(c *config) *map[string]string { return &c.Variables })
	pairFlag(j, fs, "weight", "`TASK=W`, the weight of a task, 0 for never; may be repeated", "=", parseNumber, func(c *config) *map[string]float64 { return &c.Weights })
	pairFlag(j, fs, "header", "`NAME:VALUE` to send with every request; may be repeated", ":", asText, func(c *config) *map[string]string { return &c.Headers })
	fs.BoolFunc("trace", "send W3C trace context with every request", func(s string) error {
		v, err := command.ParseBool(s)
		j.changes = append(j.changes, func(c *config) { c.Trace.Enabled = v })
		return err
	})
	change(j, fs, "trace-ratio", "`SHARE` of traces that are marked as sampled, from 0 to 1 (default 1)", parseRatio, func(c *config, v float64) {
		if c.Trace.Ratio = v; v == 0 {
			c.Trace.Ratio = loadgen.Off
		}
	})
	text("trace-state", "`TEXT` of the header tracestate, with -trace", func(c *config) *string { return &c.Trace.State })
	text("baggage", "`TEXT` of the header baggage, with -trace", func(c *config) *string { return &c.Trace.Baggage })
	text("trace-header", "`NAME` of a header that carries job, task and revision, with -trace", func(c *config) *string { return &c.Trace.Header })
	change(j, fs, "seed", "`N` that makes a run repeat", parseCount, func(c *config, v uint64) { c.Seed = v })
	change(j, fs, "threshold", "`VERDICT` on the statistics, such as 'p99 < 200ms' or 'error_rate < 1% abort'; may be repeated", loadgen.ParseThreshold,
		j.threshold)

	change(j, fs, "grace", "`TIME` that running iterations get at the end, 0 for none (default 5s)", command.ParseSpan, func(c *config, v time.Duration) {
		if c.Grace = v; v == 0 {
			c.Grace = loadgen.Off
		}
	})
	span("timeout", "`TIME` for a request (default 5m)", func(c *config) *time.Duration { return &c.Client.Timeout })
	span("connect-timeout", "`TIME` for a connection (default 10s)", func(c *config) *time.Duration { return &c.Client.ConnectTimeout })
	span("header-timeout", "`TIME` from a request to the response's header", func(c *config) *time.Duration { return &c.Client.HeaderTimeout })
	change(j, fs, "max-body", "`BYTES` of the largest response (default 64 MiB)", parseCount, func(c *config, v uint64) { c.Client.MaxBody = int64(min(v, 1<<62)) })

	text("http", "`VERSION` of HTTP, 1.1 or 2 alone; without it, what the server prefers", func(c *config) *string { return (*string)(&c.Client.HTTP) })
	text("reuse", "who uses connections again, `WHO`: vu, shared or none (default vu)", func(c *config) *string { return (*string)(&c.Client.Reuse) })
	text("proxy", "`URL` of a proxy", func(c *config) *string { return &c.Client.Proxy })
	pairFlag(j, fs, "connect-to", "`HOST:PORT=ADDR` to connect elsewhere, also to unix:PATH; may be repeated", "=", asText, func(c *config) *map[string]string { return &c.Client.ConnectTo })
	text("local-addr", "`IP` address of this machine to connect from", func(c *config) *string { return &c.Client.LocalAddr })
	change(j, fs, "dns-ttl", "`TIME` to remember addresses, 0 for none (default 1m)", command.ParseSpan, func(c *config, v time.Duration) {
		if c.Client.DNSTTL = v; v == 0 {
			c.Client.DNSTTL = loadgen.Off
		}
	})
	change(j, fs, "cacert", "`FILE` of certificates, in PEM form, to trust instead of the system's", os.ReadFile,
		func(c *config, v []byte) { c.Client.CACerts = string(v) })
	fs.BoolFunc("insecure", "accept any certificate", func(s string) error {
		v, err := command.ParseBool(s)
		j.changes = append(j.changes, func(c *config) { c.Client.Insecure = v })
		return err
	})
}

// pairFlag registers a flag that adds to a map.
func pairFlag[T any](j *jobFlags, fs *flag.FlagSet, name, usage, separator string, parse func(string) (T, error), at func(*loadgen.JobConfig) *map[string]T) {
	type entry struct {
		key   string
		value T
	}
	read := func(s string) (entry, error) {
		key, text, ok := strings.Cut(s, separator)
		key = strings.TrimSpace(key)
		if !ok || key == "" {
			return entry{}, fmt.Errorf("must be NAME%sVALUE", separator)
		}
		if separator == ":" {
			text = strings.TrimSpace(text)
		}
		v, err := parse(text)
		return entry{key, v}, err
	}
	change(j, fs, name, usage, read, func(c *loadgen.JobConfig, e entry) {
		m := at(c)
		if *m == nil {
			*m = map[string]T{}
		}
		(*m)[e.key] = e.value
	})
}

// defaultDuration is how long a job runs that nothing else ends.
const defaultDuration = 10 * time.Second

// job is the configuration that the flags and the file of -config say.
func (j *jobFlags) job() (loadgen.JobConfig, error) {
	cfg := loadgen.JobConfig{Duration: -1}
	if j.config != "" {
		text, err := os.ReadFile(j.config)
		if err == nil {
			err = readConfig(j.config, text, &cfg)
		}
		if err != nil {
			return cfg, command.UsageErrorf("-config: %w", err)
		}
	}
	for _, apply := range j.changes {
		apply(&cfg)
	}
	if cfg.Duration == -1 {
		cfg.Duration = defaultDuration
		if cfg.MaxIterations > 0 || len(cfg.Stages) > 0 {
			cfg.Duration = 0
		}
	}
	return cfg, nil
}

// readConfig reads JSON, or YAML that says the same.
func readConfig(file string, text []byte, cfg *loadgen.JobConfig) error {
	if ext := strings.ToLower(filepath.Ext(file)); ext == ".yaml" || ext == ".yml" {
		var tree any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		var err error
		if text, err = json.Marshal(tree); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := json.Unmarshal(text, cfg); err != nil {
		return fmt.Errorf("%s: %w", file, command.FaultsOf(err, ""))
	}
	return nil
}

func asText(s string) (string, error) { return s, nil }

// parseWorkers refuses none: 0 stands for the default in a configuration, which is not
// what somebody means who says it.
func parseWorkers(s string) (int, error) {
	n, err := command.ParseInt(s)
	if err == nil && n == 0 {
		err = fmt.Errorf("must be from 1 to %d", loadgen.MaxWorkers)
	}
	return n, err
}

// parseRate refuses 0 for the same reason: it is no rate, and workers would run as fast as
// they can.
func parseRate(s string) (loadgen.Rate, error) {
	r, err := loadgen.ParseRate(s)
	if err == nil && r.IsZero() {
		err = errors.New("must be above 0; without -rate, workers run one iteration after the other")
	}
	return r, err
}

func parseCount(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errors.New("must be a whole number from 0")
	}
	return n, nil
}

func parseNumber(s string) (float64, error) {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, errors.New("must be a number")
	}
	return x, nil
}

func parseRatio(s string) (float64, error) {
	x, err := parseNumber(s)
	if err == nil && !(x >= 0 && x <= 1) {
		err = errors.New("must be a number from 0 to 1")
	}
	return x, err
}

// parseStages reads DURATION:TARGET[:step], separated by commas. A target with a slash
// is a rate, any other a number of workers.
func parseStages(s string) ([]loadgen.Stage, error) {
	var list []loadgen.Stage
	for i, item := range strings.Split(s, ",") {
		parts := strings.Split(strings.TrimSpace(item), ":")
		bad := func(err error) error { return fmt.Errorf("stage %d, %q: %w", i+1, item, err) }
		if len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && parts[2] != "step" {
			return nil, bad(errors.New("must be TIME:RATE or TIME:WORKERS, and may end in :step"))
		}
		stage := loadgen.Stage{Step: len(parts) == 3}
		var err error
		if stage.Duration, err = command.ParseSpan(parts[0]); err != nil {
			return nil, bad(err)
		}
		if strings.Contains(parts[1], "/") {
			stage.Rate, err = loadgen.ParseRate(parts[1])
		} else {
			stage.Workers, err = command.ParseInt(parts[1])
		}
		if err != nil {
			return nil, bad(err)
		}
		list = append(list, stage)
	}
	return list, nil
}
