package locust

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// usage tells how busy the process is.
type usage struct {
	real, busy time.Duration
}

// cpu is the share of the processors that Go may use which was used since the last call,
// in percent. 0 where the system does not tell.
func (u *usage) cpu() float64 {
	now, busy := processTimes()
	real, spent := now-u.real, busy-u.busy
	first := u.real == 0
	u.real, u.busy = now, busy
	if first || real <= 0 {
		return 0
	}
	return min(100*float64(spent)/float64(real)/float64(runtime.GOMAXPROCS(0)), 100)
}

// memory is what the process has of the system, in bytes.
func memory() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
