package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/internal/trial"
)

// checker is one call of the command check.
type checker struct {
	subject
	try   bool
	tasks string
}

func checkCommand() *command.Command {
	c := &checker{subject: subject{command: "check"}}
	fs := command.NewFlags()
	c.flags(fs, targetFlags()...)
	command.BoolVar(fs, &c.try, "try", false, "also run one iteration of each task that has a weight, against -url")
	fs.StringVar(&c.tasks, "task", "", "with -try, only these tasks, a `LIST` with commas, whatever their weight")
	return &command.Command{
		Name: "check", Args: "NAME|FILE", Summary: "read a scenario, say what it comes to, and try its tasks",
		Flags:   fs,
		Brief:   []string{"try", "task", "url", "scenarios", "service-name", "var", "weight", "header", "timeout", "insecure"},
		Example: "loadgen check shop.yaml -try -url http://localhost:8000",
		More:    "Exit codes: 0 fine, 1 the file has faults or a task failed, 2 wrong usage.\n",
		Run: func(ctx context.Context, sys *command.System, args []string) error {
			c.System = sys
			return c.run(ctx, args)
		},
	}
}

func (c *checker) run(ctx context.Context, args []string) error {
	cfg, opts, done, err := c.prepare(args)
	if err != nil {
		return err
	}
	defer done()
	switch {
	case c.try && cfg.BaseURL == "":
		return command.UsageErrorf("-try needs a -url to try the tasks against")
	case c.tasks != "" && !c.try:
		return command.UsageErrorf("-task goes with -try")
	}
	m := loadgen.New(opts...)
	defer m.Close()
	p, err := m.Preview(cfg)
	if err != nil {
		return command.FlagFaults(err)
	}
	if err := command.Write(c.Stdout, overviewOf(p, c.Getenv)); err != nil || !c.try {
		return err
	}
	tasks, err := c.chosen(p)
	if err != nil {
		return err
	}
	failed := 0
	for _, task := range tasks {
		results, err := trial.Run(ctx, cfg, []string{task}, opts...)
		if err != nil {
			return command.FlagFaults(err)
		}
		text, ok := told(results[0])
		if !ok {
			failed++
		}
		if err := command.Write(c.Stdout, text); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d tasks failed", failed, len(tasks))
	}
	return nil
}

// chosen are the tasks to try.
func (c *checker) chosen(p *loadgen.Preview) ([]string, error) {
	if c.tasks != "" {
		tasks := strings.Split(c.tasks, ",")
		known := p.Scenario.TaskNames()
		for i, name := range tasks {
			tasks[i] = strings.TrimSpace(name)
			if !slices.Contains(known, tasks[i]) {
				return nil, command.UsageErrorf("-task: there is no task %q%s", tasks[i], textkit.DidYouMean(tasks[i], known))
			}
		}
		return tasks, nil
	}
	var tasks []string
	for _, w := range p.Weights {
		if w.Weight > 0 {
			tasks = append(tasks, w.Task)
		}
	}
	return tasks, nil
}

// overviewOf says what a scenario comes to.
func overviewOf(p *loadgen.Preview, getenv func(string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: fine", p.Scenario.Name())
	if d := p.Scenario.Description(); d != "" {
		fmt.Fprintf(&b, " (%s)", d)
	}
	b.WriteString("\n\n")
	var sum float64
	for _, w := range p.Weights {
		sum += w.Weight
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, w := range p.Weights {
		part := "never"
		if w.Weight > 0 {
			part = fmt.Sprintf("%.3g %%", 100*w.Weight/sum)
		}
		fmt.Fprintf(tw, "  %s\tweight %g\t%s\n", w.Task, w.Weight, part)
	}
	_ = tw.Flush()
	if sum == 0 {
		b.WriteString("  no task has a weight above zero: a run needs a -weight TASK=W\n")
	}
	for _, name := range p.Scenario.Secrets() {
		note := ""
		if getenv(name) == "" {
			note = " (not in the environment: a run needs it)"
		}
		fmt.Fprintf(&b, "  secret %s%s\n", name, note)
	}
	for _, v := range p.Scenario.Variables() {
		fmt.Fprintf(&b, "  variable %s = %v\n", v.Name, p.Variables[v.Name])
	}
	for _, t := range p.Scenario.Thresholds() {
		fmt.Fprintf(&b, "  threshold %s\n", t)
	}
	return b.String()
}

// told is what one iteration of a task came to.
func told(r trial.Result) (text string, ok bool) {
	var b strings.Builder
	ok = r.Err == ""
	word := "ok"
	if !ok {
		word = "FAIL"
	}
	fmt.Fprintf(&b, "\n%s  %s in %s\n", word, r.Task, r.Took.Round(10*time.Microsecond))
	for i := range r.Requests {
		e := &r.Requests[i]
		fmt.Fprintf(&b, "  %s %s: %d in %s\n", e.Method, e.URL, e.Status, e.Service.Round(10*time.Microsecond))
		if e.Class != loadgen.ClassNone {
			fmt.Fprintf(&b, "    %s\n", e.Curl())
		}
	}
	if !ok {
		fmt.Fprintf(&b, "  %s\n", r.Err)
	}
	return b.String(), ok
}
