package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// table shows what each client cost, and what is missing.
func table(clients []*client) string {
	base := find(clients, baseClient)
	var out strings.Builder
	fmt.Fprintf(&out, "%-18s %14s %8s   %s\n", "client", "CPU/request", "x wrk", "min to max")
	for _, c := range clients {
		if c.err != nil {
			fmt.Fprintf(&out, "%-18s %14s %8s   %v\n", c.name, "-", "-", c.err)
			continue
		}
		ratio := "-"
		if r := c.over(base); r > 0 {
			ratio = fmt.Sprintf("%.2f", r)
		}
		fmt.Fprintf(&out, "%-18s %11.1f µs %8s   %.1f to %.1f\n",
			c.name, median(c.costs), ratio, slices.Min(c.costs), slices.Max(c.costs))
	}
	return out.String()
}

// goal is a bound on the ratio of what two clients cost.
type goal struct {
	text   string
	client string
	per    string
	most   float64 // 0: at least is the bound
	least  float64
}

func goals() []goal {
	return []goal{
		{text: "one URL <= 1.25 x wrk", client: urlClient, per: baseClient, most: 1.25},
		{text: "one URL < fortio", client: urlClient, per: "fortio", most: 1},
		{text: "one URL < bombardier", client: urlClient, per: "bombardier", most: 1},
		{text: "scenario <= 1.6 x wrk's one URL", client: scenarioClient, per: baseClient, most: 1.6},
		{text: "k6's one URL >= 8 x scenario", client: "k6", per: scenarioClient, least: 8},
		{text: "Molotov's one URL >= 20 x scenario", client: "molotov", per: scenarioClient, least: 20},
	}
}

// verdicts says which goals are met.
func verdicts(clients []*client) string {
	var out strings.Builder
	for _, g := range goals() {
		said := "not measured"
		a, b := find(clients, g.client), find(clients, g.per)
		if r := a.over(b); r > 0 && a.err == nil && b.err == nil {
			said = fmt.Sprintf("%.2f no", r)
			if (g.most > 0 && r <= g.most) || (g.least > 0 && r >= g.least) {
				said = fmt.Sprintf("%.2f yes", r)
			}
		}
		fmt.Fprintf(&out, "%-36s %s\n", g.text+":", said)
	}
	return out.String()
}

// machine says where and with what versions the figures came about.
func machine(ctx context.Context, clients []*client) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %d CPUs, Linux %s, %s\n", cpuModel(), runtime.NumCPU(), kernel(), runtime.Version())
	versions := []string{"nginx " + says(ctx, "nginx", "-v")}
	seen := map[string]bool{}
	for _, c := range clients {
		if name := filepath.Base(c.program); name != "ours" && filepath.IsAbs(c.program) && !seen[name] {
			seen[name] = true
			versions = append(versions, name+" "+c.versionText(ctx))
		}
	}
	fmt.Fprintln(&out, strings.Join(versions, ", "))
	return out.String()
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(text))
}

func (c *client) versionText(ctx context.Context) string {
	if c.version != nil {
		return says(ctx, c.program, c.version...)
	}
	info, err := buildinfo.ReadFile(c.program)
	if err != nil {
		return "?"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}

// says finds the version in what a program says about itself.
func says(ctx context.Context, program string, args ...string) string {
	// wrk exits with an error after it has said it.
	text, _ := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if v := regexp.MustCompile(`\d+\.\d+(\.\d+)?`).Find(text); v != nil {
		return string(v)
	}
	return "?"
}
