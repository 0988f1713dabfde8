//go:build !unix

package locust

import "time"

// processTimes is not known here.
func processTimes() (now, busy time.Duration) { return 0, 0 }
