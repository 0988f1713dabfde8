package serve

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/access"
	"github.com/opbeans/loadgen/internal/command"
)

// shortToken is the length below which a token could be guessed.
const shortToken = 16

// checkAccess refuses settings of access that contradict one another.
func (s *Settings) checkAccess() error {
	if (s.tlsCert == "") != (s.tlsKey == "") {
		return command.UsageErrorf("-tls-cert and -tls-key go together: give both, or neither")
	}
	if s.limits.MaxWorkers < 0 || s.limits.MaxJobs < 0 {
		return command.UsageErrorf("-max-workers and -max-jobs must not be negative")
	}
	if _, err := s.gate(http.NotFoundHandler()); err != nil {
		return command.UsageErrorf("-token: %w", err)
	}
	return nil
}

// checkExposure refuses to let everybody on the network send traffic from here.
func (s *Settings) checkExposure(addr net.Addr) error {
	if s.Token != "" || s.InsecureNoAuth || isLoopback(addr) {
		return nil
	}
	return fmt.Errorf("%s can be reached from other machines, and whoever reaches it can send load from this one: "+
		"set a token (-token, LOADGEN_TOKEN), or say -insecure-no-auth if the network keeps others out", addr)
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// warnAccess tells of what is allowed and not wise.
func (a *App) warnAccess(addr net.Addr) {
	switch {
	case a.Token == "" && !isLoopback(addr):
		a.log.Warn("anybody who reaches this address can send load from here, as -insecure-no-auth says", "addr", addr.String())
	case a.Token != "" && len(a.Token) < shortToken:
		a.log.Warn("the token is short enough to be guessed; openssl rand -hex 16 makes a good one")
	}
}

// gate is what requests pass before anything else.
func (s *Settings) gate(h http.Handler, opts ...access.Option) (http.Handler, error) {
	opts = append(opts, access.WithToken(s.Token), access.WithPublic("/healthz"))
	for _, name := range s.allowHosts {
		if name == ownHosts {
			opts = append(opts, access.WithOwnNames(net.DefaultResolver.LookupHost))
		} else {
			opts = append(opts, access.WithHosts(name))
		}
	}
	if len(s.origins) > 0 {
		opts = append(opts, access.WithOrigins(s.origins...))
	}
	if name, err := os.Hostname(); err == nil {
		var own hosts
		if own.Set(name) == nil { // what is no name of a host is not asked for either
			opts = append(opts, access.WithHosts(own...))
		}
	}
	return access.New(h, opts...)
}

// targetRules say where jobs may connect to: -allow-target, or else this machine, private
// networks and the hosts that the operator has named.
func (a *App) targetRules() (*loadgen.TargetRules, error) {
	if len(a.allowTargets) > 0 {
		return loadgen.ParseTargetRules(a.allowTargets...)
	}
	rules := []string{"loopback", "private"}
	named := []string{strings.ReplaceAll(string(a.target), "{port}", "80")}
	if IsStandalone(a.LookupEnv) {
		if jobs, _, err := standaloneJobs(a.Getenv); err == nil { // else its own error is told
			for _, cfg := range jobs {
				named = append(named, cfg.BaseURL)
			}
		}
	}
	for _, text := range named {
		if u, err := url.Parse(text); err == nil && u.Hostname() != "localhost" && !slices.Contains(rules, u.Hostname()) {
			rules = append(rules, u.Hostname())
		}
	}
	return loadgen.ParseTargetRules(rules...)
}

// targetList is a list of rules, comma-separated, to which each use of the flag adds.
type targetList []string

func (l *targetList) String() string { return strings.Join(*l, ",") }

func (l *targetList) Set(s string) error {
	for rule := range strings.SplitSeq(s, ",") {
		if _, err := loadgen.ParseTargetRules(rule); err != nil {
			return errors.New(strings.TrimPrefix(err.Error(), "target rule "))
		}
		*l = append(*l, strings.TrimSpace(rule))
	}
	return nil
}

// ownHosts stands for every name that leads to this machine.
const ownHosts = "@own"

// hosts is a list of names, comma-separated, to which each use of the flag adds.
type hosts []string

func (h *hosts) String() string { return strings.Join(*h, ",") }

func (h *hosts) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name == ownHosts {
			*h = append(*h, name)
			continue
		}
		if _, err := access.New(nil, access.WithHosts(name)); err != nil {
			return errors.New("must be " + strings.TrimPrefix(err.Error(), fmt.Sprintf("%q must be ", name)))
		}
		*h = append(*h, name)
	}
	return nil
}
