//go:build !race && !linux

package loadgen_test

import "time"

// othersTime is not known here.
func othersTime() time.Duration { return 0 }
