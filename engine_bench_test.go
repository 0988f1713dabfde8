package loadgen_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// What one iteration costs beside its requests: schedule, pick, measurement.
func BenchmarkIteration(b *testing.B) {
	for name, rate := range map[string]loadgen.Rate{"closed": {}, "open": loadgen.PerSecond(1_000_000)} {
		b.Run(name, func(b *testing.B) {
			cfg := config(nothing())
			cfg.Workers, cfg.Rate, cfg.MaxWorkers = 1, rate, 1
			cfg.MaxIterations = uint64(b.N)
			b.ReportAllocs()
			snap, err := loadgen.Run(b.Context(), cfg)
			require.NoError(b, err)
			require.EqualValues(b, b.N, snap.Iterations)
		})
	}
}

// What asking a busy job of many tasks for its statistics costs.
func BenchmarkSnapshot(b *testing.B) {
	m := loadgen.New()
	defer m.Close()
	s := loadgen.NewScenario("s")
	for _, name := range "abcdefghijklmnopqrst" {
		s.Task(string(name), 1, func(context.Context, *loadgen.VU) error { return nil })
	}
	cfg := config(s)
	cfg.Workers, cfg.Rate, cfg.MaxWorkers = 1, loadgen.PerSecond(1000), 10
	j, err := m.Start(b.Context(), cfg)
	require.NoError(b, err)
	for b.Loop() {
		j.Snapshot()
	}
}
