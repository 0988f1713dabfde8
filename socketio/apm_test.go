package socketio_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/socketio"
)

func TestVerdictsOfAgentsWhileTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var found atomic.Int64
		k := newKit(t, socketio.WithVerdicts(func(job string) (any, string, bool) {
			n := found.Load()
			if job != "shop" || n == 0 {
				return nil, "", false
			}
			return map[string]any{"job": job, "found": n, "time": time.Now()}, string(rune('0' + n)), n == 3
		}))
		k.start("shop")
		k.start("other")
		c := k.client()
		apm := func() (found []string) {
			for _, m := range only(k.messages(c, 5*time.Second), "apm") {
				found = append(found, m[:len(`2["apm",{"found":1,`)])
			}
			return found
		}
		assert.Empty(t, apm(), "nothing is known yet")
		found.Store(1)
		assert.Equal(t, []string{`2["apm",{"found":1,`}, apm(), "once, while nothing changes")
		assert.Empty(t, apm())
		jobOf(t, k.m, "shop").Stop()
		found.Store(3)
		assert.Equal(t, []string{`2["apm",{"found":3,`}, apm(), "after the end of the job, too")

		late := k.client()
		told := only(k.messages(late, time.Millisecond), "apm")
		require.Len(t, told, 1, "whoever comes late hears it at once")
		assert.Contains(t, told[0], `"found":3`)
		assert.Empty(t, only(k.messages(late, 5*time.Second), "apm"), "and once")
		assert.Empty(t, apm())

		assert.NoError(t, k.m.Remove("shop"))
		k.messages(late, 5*time.Second)
		assert.Empty(t, only(k.messages(k.client(), 5*time.Second), "apm"), "nobody hears of a job that is gone")
	})
}
