package loglimit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen/internal/loglimit"
)

func TestOneLineInTenSecondsPassesAndCountsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l loglimit.Limit
		pass := func(wantSkipped uint64, want bool) {
			t.Helper()
			skipped, ok := l.Pass()
			assert.Equal(t, want, ok)
			assert.Equal(t, wantSkipped, skipped)
		}
		pass(0, true)
		pass(0, false)
		time.Sleep(loglimit.Every - 1)
		pass(0, false)
		time.Sleep(time.Nanosecond)
		pass(2, true)
		pass(0, false)
		l.Reset()
		pass(0, true)
	})
}
