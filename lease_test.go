package loadgen

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/memnet"
)

// leased runs f in virtual time with a job whose lease is a minute.
func leased(t *testing.T, f func(t *testing.T, m *Manager, j *Job)) {
	synctest.Test(t, func(t *testing.T) {
		dial, stop := memnet.Serve(&arrivals{})
		defer stop()
		m := New(WithDialContext(dial))
		defer m.Close()
		f(t, m, begin(t, m, "job", func(c *JobConfig) { c.Delay, c.Lease = time.Second, time.Minute }))
	})
}

func TestLeaseEnds(t *testing.T) {
	leased(t, func(t *testing.T, m *Manager, j *Job) {
		began := time.Now()
		assert.Equal(t, began.Add(time.Minute), j.LeaseEnds())
		<-j.Done()
		assert.Equal(t, time.Minute, time.Since(began))
		assert.Equal(t, StateStopped, j.State())
		assert.Equal(t, "its lease of 1m0s was not renewed", j.Status().Reason)
		assert.ErrorIs(t, j.Renew(), ErrJobEnded)
		_, err := m.Get("nosuch")
		assert.ErrorIs(t, err, ErrJobNotFound)
		assert.Zero(t, j.LeaseEnds())
	})
}

func TestLeaseIsRenewed(t *testing.T) {
	leased(t, func(t *testing.T, m *Manager, j *Job) {
		began := time.Now()
		for range 100 {
			time.Sleep(59 * time.Second)
			require.NoError(t, j.Renew())
		}
		assert.EqualValues(t, 1, j.Status().Revision, "renewing changes nothing else")
		time.Sleep(59 * time.Second)
		require.NoError(t, j.Update(func(c *JobConfig) { c.Workers = 2 }), "an update renews it as well")
		time.Sleep(59 * time.Second)
		require.Error(t, j.Update(func(c *JobConfig) { c.Workers = -1 }), "one that is refused does not")
		<-j.Done()
		assert.Equal(t, 101*59*time.Second+time.Minute, time.Since(began))
	})
}

func TestLeaseRenewalIsAnEvent(t *testing.T) {
	leased(t, func(t *testing.T, m *Manager, j *Job) {
		events := m.Subscribe(t.Context())
		time.Sleep(10 * time.Second)
		require.NoError(t, j.Renew())
		e := <-events
		assert.Equal(t, EventRenewed, e.Kind)
		assert.Equal(t, time.Now().Add(time.Minute), e.LeaseEnds)
		assert.EqualValues(t, 1, e.Status.Revision)
		require.NoError(t, j.Update(func(c *JobConfig) { c.Lease = 0 }))
		require.NoError(t, j.Renew())
		assert.Zero(t, (<-events).LeaseEnds)
		assert.Empty(t, events, "there is nothing to renew")
	})
}

func TestLeaseIsChanged(t *testing.T) {
	leased(t, func(t *testing.T, m *Manager, j *Job) {
		began := time.Now()
		time.Sleep(30 * time.Second)
		require.NoError(t, j.Update(func(c *JobConfig) { c.Lease = 10 * time.Second }))
		<-j.Done()
		assert.Equal(t, 40*time.Second, time.Since(began), "a shorter one counts at once")
	})
	leased(t, func(t *testing.T, m *Manager, j *Job) {
		require.NoError(t, j.Update(func(c *JobConfig) { c.Lease = 0 }))
		assert.Zero(t, j.LeaseEnds())
		time.Sleep(24 * time.Hour)
		assert.Equal(t, StateRunning, j.State(), "without a lease it runs on")
		require.NoError(t, j.Renew())
		require.NoError(t, j.Update(func(c *JobConfig) { c.Lease, c.Duration = time.Hour, 24*time.Hour+time.Minute }))
		<-j.Done()
		assert.Equal(t, StateFinished, j.State(), "its own end is first")
	})
}

func TestLeaseFaults(t *testing.T) {
	c := JobConfig{Lease: -1}
	assert.ErrorContains(t, c.Validate(), "lease: must be from 0 to ")
}

func TestStopAll(t *testing.T) {
	leased(t, func(t *testing.T, m *Manager, j *Job) {
		other := begin(t, m, "other", func(c *JobConfig) { c.Delay = time.Second })
		_, err := m.Prepare(JobConfig{Name: "pending", Scenario: gets()})
		assert.NoError(t, err)
		assert.Equal(t, []*Job{j, other}, m.StopAll())
		<-j.Done()
		<-other.Done()
		assert.Empty(t, m.StopAll())
		assert.Equal(t, "stopped on request", other.Status().Reason)
	})
}

// A set-up that hangs does not keep a job alive that nobody looks after: the lease
// counts from the start, not from the first iteration.
func TestLeaseCountsFromTheStart(t *testing.T) {
	setUpFor := func(d time.Duration) *Scenario {
		return gets().Setup(func(ctx context.Context, vu *VU) error { return vu.Sleep(ctx, d) })
	}
	for name, test := range map[string]struct {
		setUp  time.Duration
		waits  time.Duration // with a StartAt
		during func(t *testing.T, j *Job)
		ends   time.Duration // since the start
	}{
		"over in the set-up":    {setUp: time.Hour, ends: time.Minute},
		"over after the set-up": {setUp: 40 * time.Second, ends: time.Minute},
		"over in the wait":      {waits: time.Hour, ends: time.Minute},
		"over after the wait":   {waits: 40 * time.Second, ends: time.Minute},
		"shortened in the wait": {waits: time.Hour, ends: 40 * time.Second, during: func(t *testing.T, j *Job) {
			require.NoError(t, j.Update(func(c *JobConfig) { c.Lease = 10 * time.Second }))
		}},
		"renewed in the set-up":     {setUp: time.Hour, ends: 90 * time.Second, during: func(t *testing.T, j *Job) { require.NoError(t, j.Renew()) }},
		"renewed, and set up since": {setUp: 40 * time.Second, ends: 90 * time.Second, during: func(t *testing.T, j *Job) { require.NoError(t, j.Renew()) }},
		"shortened in the set-up": {setUp: time.Hour, ends: 40 * time.Second, during: func(t *testing.T, j *Job) {
			require.NoError(t, j.Update(func(c *JobConfig) { c.Lease = 10 * time.Second }))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, stop := memnet.Serve(&arrivals{})
				defer stop()
				m := New(WithDialContext(dial))
				defer m.Close()
				began := time.Now()
				j := begin(t, m, "job", func(c *JobConfig) {
					c.Scenario, c.Delay, c.Lease, c.Duration = setUpFor(test.setUp), time.Second, time.Minute, time.Hour
					if test.waits > 0 {
						c.StartAt = began.Add(test.waits)
					}
				})
				assert.Equal(t, began.Add(time.Minute), j.LeaseEnds(), "whoever asks is told")
				time.Sleep(30 * time.Second)
				if test.during != nil {
					test.during(t, j)
				}
				assert.Equal(t, began.Add(test.ends), j.LeaseEnds())
				<-j.Done()
				assert.Equal(t, StateStopped, j.State())
				stopping := j.History()[len(j.History())-2]
				assert.Equal(t, StateStopping, stopping.State)
				assert.Equal(t, test.ends, stopping.Time.Sub(began))
				assert.Contains(t, stopping.Reason, "its lease of ")
				assert.Equal(t, max(test.setUp, test.waits) < test.ends, j.Snapshot().Iterations > 0)
			})
		})
	}
}
