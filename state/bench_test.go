package state_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/state"
)

// How long a call waits for the disk, of one client after the other and of several.
func BenchmarkSave(b *testing.B) {
	for _, perCPU := range []int{1, 20} {
		b.Run(fmt.Sprintf("clients=%d", perCPU*runtime.GOMAXPROCS(0)), func(b *testing.B) {
			s, err := state.Open(b.TempDir())
			require.NoError(b, err)
			m := loadgen.New(loadgen.WithOnEnd(s.Ended))
			require.NoError(b, s.Attach(m, true))
			for i := range 100 {
				_, err := m.Prepare(loadgen.JobConfig{Name: fmt.Sprint("job ", i), Workers: 3})
				require.NoError(b, err)
			}
			b.SetParallelism(perCPU)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if err := s.Save(fmt.Sprint("job ", i%100), nil)(); err != nil {
						b.Error(err)
					}
				}
			})
			b.StopTimer()
			m.Close()
			require.NoError(b, s.Close())
		})
	}
}
