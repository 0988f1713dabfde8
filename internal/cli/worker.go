package cli

import (
	"context"
	"errors"
	"log/slog"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/locust"
)

// locustWorker is one call of the command worker.
type locustWorker struct {
	subject
	master, id, scenario string
}

func workerCommand() *command.Command {
	w := &locustWorker{subject: subject{command: "worker", verbose: true}}
	fs := command.NewFlags()
	w.flags(fs, append(targetFlags(), "name", "delay", "grace")...)
	fs.StringVar(&w.master, "locust", "", "`HOST:PORT` on which the Locust master awaits workers; its default port is 5557")
	fs.StringVar(&w.scenario, "scenario", "", "`NAME|FILE|URL` of what to run, as run takes it")
	fs.StringVar(&w.id, "id", "", "`ID` that the master lists the worker as (default the host's name and a random number)")
	return &command.Command{
		Name: "worker", Args: "[NAME|FILE|URL]", Summary: "generate the load of a Locust master",
		Flags:   fs,
		Brief:   []string{"locust", "scenario", "url", "delay", "var", "weight", "header", "grace", "scenarios", "id"},
		Example: "loadgen worker -locust localhost:5557 -scenario shop.yaml -url http://localhost:8000",
		More: "The master's web page and API start, resize and stop the test. Its users are virtual users of\n" +
			"one job, which change in place. Without -url the host that the master names is the target.\n\n" +
			"Exit codes: 0 the master has ended, or Ctrl-C; 1 the master is gone; 2 wrong usage. The first\n" +
			"Ctrl-C stops softly, the second interrupts.\n",
		Run: func(ctx context.Context, sys *command.System, args []string) error {
			w.System = sys
			return w.run(ctx, args)
		},
	}
}

func (w *locustWorker) run(ctx context.Context, args []string) error {
	switch {
	case w.master == "":
		return command.UsageErrorf("-locust HOST:PORT is missing: where the master is (see loadgen worker -h)")
	case w.scenario != "" && len(args) > 0:
		return command.UsageErrorf("what to run is said twice, by -scenario and by %q", args[0])
	case w.scenario != "":
		args = []string{w.scenario}
	}
	w.changes = append(w.changes, func(c *loadgen.JobConfig) { // the last: the file of -config comes first
		if c.Duration == -1 {
			c.Duration = 0 // not said; the master ends it
		}
	})
	cfg, opts, done, err := w.prepare(args)
	if err != nil {
		return err
	}
	defer done()
	m := loadgen.New(opts...)
	defer m.Close()
	hard := w.Hard.Expect()
	over := make(chan struct{})
	defer close(over)
	go func() {
		select {
		case <-hard:
			m.Close() // the job ends at once, and the master is told what there is
		case <-over:
		}
	}()
	err = locust.Run(ctx, m, locust.Config{Master: w.master, ID: w.id, Job: cfg, Logger: slog.New(slog.NewTextHandler(w.Stderr, nil))})
	if err != nil && !errors.Is(err, locust.ErrNoMaster) {
		return command.UsageErrorf("%w", command.FlagFaults(err))
	}
	return err
}
