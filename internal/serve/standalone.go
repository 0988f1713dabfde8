package serve

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

// Settings of standalone jobs, as the Python service's container had them.
const (
	standaloneScenario = "standalone"
	standaloneRPM      = "100"
	standaloneDuration = 365 * 24 * time.Hour
	standaloneProgress = time.Minute
)

// IsStandalone reports whether the environment asks for fixed jobs without the API. As in the
// original, WS counts as set even if it is empty.
func IsStandalone(lookupEnv func(string) (string, bool)) bool {
	_, service := lookupEnv("WS")
	urls, _ := lookupEnv("OPBEANS_URLS")
	return !service && urls != ""
}

// standalone runs the jobs of OPBEANS_URLS to their end, or until ctx is done.
func (a *App) standalone(ctx context.Context) error {
	configs, unused, err := standaloneJobs(a.Getenv)
	if err != nil {
		return err
	}
	for _, name := range unused {
		a.log.Warn("a setting names a service that is not in OPBEANS_URLS", "service", name)
	}
	for _, cfg := range configs {
		cfg.Trace.Enabled = a.apm.Addr != ""
		if _, err := a.manager.Start(ctx, cfg); err != nil {
			return fmt.Errorf("OPBEANS_URLS: job %s: %w", cfg.Name, err)
		}
	}
	endProgress := a.startProgress(ctx, cmp.Or(a.progress, standaloneProgress))
	defer endProgress()
	if a.manager.Wait(ctx) != nil {
		a.log.Info("stopping", "reason", context.Cause(ctx).Error())
	}
	endProgress()
	a.shutdown(ctx)
	a.summarize()
	for _, j := range a.manager.List() {
		if s := j.Status(); s.State == loadgen.StateFailed {
			return fmt.Errorf("job %s failed: %s", j.Name(), s.Reason)
		}
	}
	return nil
}

// standaloneJobs reads OPBEANS_URLS, OPBEANS_RPMS and OPBEANS_RLS. unused are the
// names of services that only the latter two know.
func standaloneJobs(getenv func(string) string) (configs []loadgen.JobConfig, unused []string, err error) {
	urls, err := pairs(getenv, "OPBEANS_URLS", "opbeans-node:http://opbeans-node:3000")
	if err != nil {
		return nil, nil, err
	}
	rpms, err := pairs(getenv, "OPBEANS_RPMS", "opbeans-node:100")
	if err != nil {
		return nil, nil, err
	}
	seconds, err := pairs(getenv, "OPBEANS_RLS", "opbeans-node:500")
	if err != nil {
		return nil, nil, err
	}
	names := map[string]string{} // of jobs, to their services
	for _, p := range urls {
		cfg := loadgen.JobConfig{
			Name:         jobName(p.name),
			ScenarioName: standaloneScenario,
			BaseURL:      p.value,
			ServiceName:  p.name,
			Duration:     standaloneDuration,
		}
		if other, taken := names[cfg.Name]; taken {
			return nil, nil, fmt.Errorf("OPBEANS_URLS: %q and %q are both job %q", other, p.name, cfg.Name)
		}
		names[cfg.Name] = p.name
		rpm, _ := find(rpms, p.name)
		rpm = cmp.Or(rpm, standaloneRPM)
		if cfg.Rate, err = loadgen.ParseRate(rpm + "/m"); err != nil || cfg.Rate.IsZero() {
			return nil, nil, fmt.Errorf("OPBEANS_RPMS: %q: %q is not a number of iterations per minute above 0", p.name, rpm)
		}
		if s, ok := find(seconds, p.name); ok {
			n, err := strconv.ParseFloat(s, 64)
			if !(n > 0 && n <= loadgen.MaxDuration.Seconds()) || err != nil {
				return nil, nil, fmt.Errorf("OPBEANS_RLS: %q: %q is not a number of seconds above 0", p.name, s)
			}
			cfg.Duration = time.Duration(n * float64(time.Second))
		}
		if err := cfg.Validate(); err != nil {
			return nil, nil, fmt.Errorf("OPBEANS_URLS: %q: %w", p.name, err)
		}
		configs = append(configs, cfg)
	}
	for _, p := range append(rpms, seconds...) {
		if _, ok := find(urls, p.name); !ok {
			unused = append(unused, p.name)
		}
	}
	return configs, unused, nil
}

// jobName is what follows the first dash of a service's name, without further
// dashes: opbeans-java-2 is job java2.
func jobName(service string) string {
	if _, after, ok := strings.Cut(service, "-"); ok {
		service = after
	}
	return strings.ReplaceAll(service, "-", "")
}

type pair struct{ name, value string }

// pairs reads a variable of the form name:value,name:value.
func pairs(getenv func(string) string, variable, example string) ([]pair, error) {
	text := getenv(variable)
	if text == "" {
		return nil, nil
	}
	var list []pair
	for entry := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(entry), ":")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("%s: the entry %q is not of the form %s", variable, entry, example)
		}
		list = append(list, pair{name, value})
	}
	return list, nil
}

// find is the last value of a name, as later entries replace earlier ones.
func find(list []pair, name string) (value string, ok bool) {
	for _, p := range list {
		if p.name == name {
			value, ok = p.value, true
		}
	}
	return value, ok
}
