package loadgen

import "github.com/opbeans/loadgen/internal/client"

// hookSteps is where the steps of set-ups and tear-downs begin, so that they have traces
// of their own beside those of the iteration with the same number.
const hookSteps = 1 << 63

// stream is what the trace ids of a VU come from. A number is that of its random source.
func (j *Job) stream(number uint64) uint64 {
	if j.life == 0 {
		return number
	}
	return client.Mix(j.life, number)
}
