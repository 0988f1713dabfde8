package serve

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/lossy"
	"github.com/opbeans/loadgen/state"
	"github.com/opbeans/loadgen/statsd"
)

// Settings is what flags and environment say.
type Settings struct {
	addr      string
	addrFile  string
	scenarios string
	target    target
	origins   origins
	demo      bool

	Token          string
	InsecureNoAuth bool
	allowHosts     hosts
	allowTargets   targetList
	limits         loadgen.Limits
	tlsCert        string
	tlsKey         string

	progress     time.Duration
	stopTimeout  time.Duration
	state        string
	resume       bool
	keepRuns     int
	keepFor      time.Duration
	logFormat    choice
	logLevel     slog.Level
	statsd       string
	statsdNames  choice
	statsdBridge string
	pprof        string
	apm          ApmFlags
	version      bool
}

// Flags is the one table of settings: each has a flag, an environment variable of
// the same name (see envName), and a line of -h.
func (s *Settings) Flags() *flag.FlagSet {
	s.target = "http://localhost:{port}"
	s.logFormat = choice{"text", []string{"text", "json"}}
	s.statsdNames = choice{string(statsd.NamesMolotov), []string{
		string(statsd.NamesMolotov), string(statsd.NamesMolotovIP), string(statsd.NamesLoadgen),
	}}
	fs := command.NewFlags()
	fs.StringVar(&s.addr, "addr", "127.0.0.1:8999", "`HOST:PORT` that the HTTP API listens on; port 0 takes a free one")
	fs.StringVar(&s.addrFile, "addr-file", "", "`FILE` to write the address to, once listening")
	fs.StringVar(&s.scenarios, "scenarios", "", "`DIR` of more scenario files; read at each start of a job, links cannot leave it")
	fs.Var(&s.target, "target", "base `URL` of jobs that are started by port")
	fs.Var(&s.origins, "origins", "`LIST` of origins, comma-separated, whose pages may call the API; without it, localhost on any port")
	fs.StringVar(&s.Token, "token", "", "`TOKEN` that clients must have, as a bearer header or by the login form; better set by the environment, which ps does not show")
	command.BoolVar(fs, &s.InsecureNoAuth, "insecure-no-auth", false, "listen without a token on an address that is not loopback: whoever reaches it can send load")
	fs.Var(&s.allowHosts, "allow-host", "`NAME` that the server goes by, beside localhost, IP addresses and the machine's own name; repeatable, * is any, @own every name that leads to this machine")
	fs.Var(&s.allowTargets, "allow-target", "`RULE` of where jobs may connect to: a host, HOST:PORT, *.DOMAIN, range of addresses, loopback, private or *; repeatable; without it loopback, private and the host of -target")
	fs.TextVar(&s.limits.MaxRate, "max-rate", loadgen.Rate{}, "`RATE` of requests, such as 1000/s, that all jobs together may send; those beyond it wait")
	command.CountVar(fs, &s.limits.MaxWorkers, "max-workers", 0, "`N` workers that all jobs together may have")
	command.CountVar(fs, &s.limits.MaxJobs, "max-jobs", 0, "`N` jobs that may run at a time")
	fs.StringVar(&s.tlsCert, "tls-cert", "", "`FILE` of the certificate to serve HTTPS with, in PEM; read again when it changes")
	fs.StringVar(&s.tlsKey, "tls-key", "", "`FILE` of its key, in PEM")
	command.BoolVar(fs, &s.demo, "demo", false, "also start a small shop, and a job that drives it")
	command.TimeVar(fs, &s.progress, "progress", 0, "`TIME` between two lines of the progress of each job; 0 is 5s with -demo, 1m standalone, otherwise never")
	fs.StringVar(&s.state, "state", "", "`DIR` to keep jobs, statistics and the results of runs in, so that a restart loses nothing")
	command.BoolVar(fs, &s.resume, "resume", true, "with -state: jobs that ran when the server ended run on")
	command.CountVar(fs, &s.keepRuns, "keep-runs", state.DefaultRuns, "keep the results of `N` runs; without -state in memory, and 100 at most")
	command.TimeVar(fs, &s.keepFor, "keep-for", state.DefaultFor, "with -state: `TIME` to keep the results of runs; 0 is for ever")
	command.TimeVar(fs, &s.stopTimeout, "stop-timeout", 8*time.Second, "`TIME` that running iterations get after SIGINT or SIGTERM")
	fs.Var(&s.logFormat, "log-format", "`FORMAT` of the log on standard output: text or json")
	fs.Var((*level)(&s.logLevel), "log-level", "least `LEVEL` that is logged: debug, info, warn or error")
	fs.StringVar(&s.statsd, "statsd", "", "StatsD server to tell of every request, as udp://`HOST:PORT`")
	fs.Var(&s.statsdNames, "statsd-names", "how StatsD buckets are named: `molotov`, molotov-ip, or loadgen, a tree of job, scenario and task")
	fs.StringVar(&s.statsdBridge, "statsd-bridge", "", "`HOST:PORT` that shows the statistics to the suite's page as its StatsD container would, such as :8127")
	fs.StringVar(&s.pprof, "pprof", "", "loopback `HOST:PORT` that serves profiles under /debug/pprof/; without it there are none")
	s.apm.Register(fs)
	command.BoolVar(fs, &s.version, "version", false, "print the version and exit")
	return fs
}

// ContainerVariables are the settings of the Python service's container, which
// have no flag.
func ContainerVariables() [][2]string {
	return [][2]string{
		{"WS", "set, even to nothing: run the HTTP API, also with OPBEANS_URLS"},
		{"OPBEANS_URLS", "without WS: run standalone, one job for each NAME:URL of this comma-separated list"},
		{"OPBEANS_RPMS", "list of NAME:N, the iterations per minute of a standalone job (default 100)"},
		{"OPBEANS_RLS", "list of NAME:SECONDS, how long a standalone job runs (default 365 days)"},
	}
}

// EnvName is the environment variable of a flag; "" for -version, which is a
// question rather than a setting. That of -statsd is the suite's.
func EnvName(flagName string) string {
	switch flagName {
	case "version":
		return ""
	case "statsd":
		return "STATSD_ADDR"
	}
	return "LOADGEN_" + strings.ToUpper(strings.ReplaceAll(flagName, "-", "_"))
}

// Command is the service, with its flags and environment.
func Command() *command.Command {
	a := &App{}
	fs := a.Flags()
	var more strings.Builder
	more.WriteString("Other environment variables:\n")
	for _, v := range ContainerVariables() {
		fmt.Fprintf(&more, "  %-12s  %s\n", v[0], v[1])
	}
	return &command.Command{
		Name: "serve", Summary: "run the service with the HTTP API (the default)",
		Example: "loadgen serve -demo",
		Flags:   fs, Env: EnvName, More: more.String(),
		Brief: []string{
			"addr", "demo", "log-format", "log-level", "origins", "progress", "scenarios", "statsd", "stop-timeout", "target", "version",
		},
		Run: func(ctx context.Context, sys *command.System, _ []string) error {
			if a.version {
				return command.VersionCommand().Run(ctx, sys, nil)
			}
			if err := a.Load(fs, sys.Getenv); err != nil {
				return err
			}
			// A reader of the log that is gone (serve | head -n 1) ends no job.
			signal.Ignore(syscall.SIGPIPE)
			own := *sys
			own.Stdout = lossy.New(sys.Stdout, sys.Stderr)
			a.System = &own
			return a.serve(ctx)
		},
	}
}

// Load adds what the environment says to the flags that were read: a flag wins over
// its environment variable, which wins over the default. An empty variable counts as
// not set.
func (s *Settings) Load(fs *flag.FlagSet, getenv func(string) string) error {
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	fs.VisitAll(func(f *flag.Flag) {
		env := EnvName(f.Name)
		if env == "" || given[f.Name] || err != nil {
			return
		}
		value := getenv(env)
		if value == "" {
			return
		}
		if bad := fs.Set(f.Name, value); bad != nil {
			err = command.UsageErrorf("invalid value %q for %s: %w", value, env, bad)
		}
	})
	switch {
	case err != nil:
		return err
	case s.keepRuns < 0:
		return command.UsageErrorf("-keep-runs must not be negative, as %d is", s.keepRuns)
	}
	if err := s.apm.Check(); err != nil {
		return err
	}
	return s.checkAccess()
}

// target is the template of base URLs.
type target string

func (t *target) String() string { return string(*t) }

func (t *target) Set(s string) error {
	u, err := url.Parse(strings.ReplaceAll(s, "{port}", "80"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || !strings.Contains(s, "{port}") {
		return errors.New("must be an http or https URL with {port} where the port goes, for instance http://localhost:{port}")
	}
	*t = target(s)
	return nil
}

// choice is a string out of a few.
type choice struct {
	value string
	of    []string
}

func (c *choice) String() string { return c.value }

func (c *choice) Set(s string) error {
	for _, v := range c.of {
		if s == v {
			c.value = s
			return nil
		}
	}
	return fmt.Errorf("must be one of: %s", strings.Join(c.of, ", "))
}

// level is a slog.Level whose errors say what there is.
type level slog.Level

func (l *level) String() string { return slog.Level(*l).String() }

func (l *level) Set(s string) error {
	if (*slog.Level)(l).UnmarshalText([]byte(s)) != nil {
		return errors.New("must be debug, info, warn or error")
	}
	return nil
}

// origins is a comma-separated list of what httpapi.WithOrigins takes.
type origins []string

func (o *origins) String() string { return strings.Join(*o, ",") }

func (o *origins) Set(s string) error {
	var list origins
	for item := range strings.SplitSeq(s, ",") {
		item = strings.TrimSpace(item)
		if scheme, host, ok := strings.Cut(item, "://"); item != "*" && (!ok || scheme == "" || host == "" || strings.Contains(host, "/")) {
			return fmt.Errorf("%q must be *, or an origin such as http://localhost:9000 or http://localhost:*", item)
		}
		list = append(list, item)
	}
	*o = list
	return nil
}
