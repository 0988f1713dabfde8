package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/serve"
)

// subject is what a command runs, and against what.
type subject struct {
	*command.System
	jobFlags
	command   string // that it is for
	scenarios string
	cert, key string
	verbose   bool
}

// flags adds all flags of jobs, or, if there are names, those of them alone.
func (r *subject) flags(fs *flag.FlagSet, some ...string) {
	all := command.NewFlags()
	r.register(all)
	all.StringVar(&r.scenarios, "scenarios", "", "`DIR` of more scenario files")
	all.StringVar(&r.cert, "cert", "", "`FILE` with the certificate of the client, in PEM form; -key has its key")
	all.StringVar(&r.key, "key", "", "`FILE` with the private key of -cert")
	all.VisitAll(func(f *flag.Flag) {
		if len(some) == 0 || slices.Contains(some, f.Name) {
			fs.Var(f.Value, f.Name, f.Usage)
		}
	})
}

// targetFlags are those that say what and where, but not how much.
func targetFlags() []string {
	return []string{
		"config", "url", "scenarios", "service-name", "var", "weight", "header", "seed", "timeout", "connect-timeout", "header-timeout", "max-body",
		"http", "reuse", "proxy", "connect-to", "local-addr", "dns-ttl", "cacert", "insecure", "cert", "key",
	}
}

// prepare works out what to run. done is for when it has run.
func (r *subject) prepare(args []string) (cfg loadgen.JobConfig, opts []loadgen.Option, done func(), err error) {
	if cfg, err = r.job(); err != nil {
		return cfg, nil, nil, err
	}
	if err := findSegment(&cfg.Segment, r.Getenv); err != nil {
		return cfg, nil, nil, err
	}
	folders, closeFolders, err := serve.ScenarioFolders(r.scenarios)
	if err != nil {
		return cfg, nil, nil, err
	}
	done = closeFolders
	switch {
	case len(args) > 1:
		err = command.UsageErrorf("one scenario at a time: unexpected argument %q (see loadgen %s -h)", args[1], r.command)
	case len(args) == 0 && cfg.ScenarioName == "":
		err = command.UsageErrorf("what to run is missing: the NAME of a scenario, the FILE of one, or a URL (see loadgen %s -h)", r.command)
	case len(args) == 1:
		var closeFile func()
		if closeFile, err = r.source(args[0], &cfg, &opts); err == nil {
			done = func() { closeFile(); closeFolders() }
		}
	}
	var certs *tls.Config
	if err == nil {
		certs, err = r.certificate()
	}
	if err != nil {
		closeFolders()
		return cfg, nil, nil, err
	}
	if cfg.Name == "" {
		cfg.Name = cfg.ScenarioName
	}
	opts = append([]loadgen.Option{loadgen.WithScenarios(folders...)}, opts...) // what was named comes last, and wins
	if certs != nil {
		opts = append(opts, loadgen.WithTLSConfig(certs))
	}
	opts = append(opts,
		loadgen.WithUnixSockets(func(string) bool { return true }), // they are those of whoever types this
		loadgen.WithEnv(func(name string) (string, bool) {
			value := r.Getenv(name)
			return value, value != ""
		}))
	if r.verbose {
		opts = append(opts, loadgen.WithLogger(slog.New(slog.NewTextHandler(r.Stderr, nil))))
	}
	return cfg, opts, done, nil
}

// source finds what an argument names.
func (r *subject) source(arg string, cfg *loadgen.JobConfig, opts *[]loadgen.Option) (done func(), err error) {
	done = func() {}
	ext := strings.ToLower(filepath.Ext(arg))
	switch {
	case strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://"):
		return done, page(arg, cfg)
	case arg == "-":
		src, err := io.ReadAll(io.LimitReader(r.Stdin, loadgen.MaxScenarioSize+1))
		if err == nil && len(src) > loadgen.MaxScenarioSize {
			err = fmt.Errorf("standard input is larger than %d bytes", loadgen.MaxScenarioSize)
		}
		if err == nil {
			cfg.Scenario, err = loadgen.ParseScenarioFile("stdin", "standard input", src)
		}
		cfg.ScenarioName = "stdin"
		if err != nil {
			return done, command.UsageErrorf("%w", command.FlagFaults(err))
		}
		return done, nil
	case ext == ".yaml" || ext == ".yml" || strings.ContainsAny(arg, `/\`):
		// By its folder, so that files which it names are found.
		root, err := os.OpenRoot(filepath.Dir(arg))
		if err != nil {
			return done, command.UsageErrorf("%w", err)
		}
		if _, err := os.Stat(arg); err != nil {
			_ = root.Close()
			return done, command.UsageErrorf("%w", err)
		}
		if ext != ".yaml" && ext != ".yml" {
			_ = root.Close()
			return done, command.UsageErrorf("%s: the file of a scenario ends in .yaml", arg)
		}
		cfg.ScenarioName = strings.TrimSuffix(filepath.Base(arg), filepath.Ext(arg))
		*opts = append(*opts, loadgen.WithScenarios(root.FS()))
		return func() { _ = root.Close() }, nil
	case hostPort(arg):
		return done, command.UsageErrorf("a URL begins with http:// or https://: did you mean http://%s?", arg)
	default:
		cfg.ScenarioName = arg
		return done, nil
	}
}

// hostPort tells whether a name is rather an address, such as localhost:8000.
func hostPort(arg string) bool {
	host, port, err := net.SplitHostPort(arg)
	_, number := strconv.Atoi(port)
	return err == nil && host != "" && number == nil
}

// page makes a scenario of getting one page.
func page(arg string, cfg *loadgen.JobConfig) error {
	u, err := url.Parse(arg)
	if err != nil {
		return command.UsageErrorf("%q is not a URL: %w", arg, err)
	}
	base := url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}
	if cfg.BaseURL == "" {
		cfg.BaseURL = base.String()
	}
	path := u.RequestURI()
	cfg.Scenario = loadgen.NewScenario(cmp.Or(u.Hostname(), "page")).
		Task("GET "+u.EscapedPath(), 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, path) })
	cfg.ScenarioName = cfg.Scenario.Name()
	return nil
}

// certificate is the client's, if there is one.
func (r *subject) certificate() (*tls.Config, error) {
	if r.cert == "" && r.key == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(r.cert, cmp.Or(r.key, r.cert))
	if err != nil {
		return nil, command.UsageErrorf("-cert, -key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
