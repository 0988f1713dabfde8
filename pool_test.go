package loadgen

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/schedule"
)

// A ramp to 10,000 VUs has as many steps: were each to wake all VUs there are, they would
// do little else.
func TestStepsOfARampWakeNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		defer m.Close()
		busy := NewScenario("busy").Task("busy", 1, func(ctx context.Context, vu *VU) error { return vu.Sleep(ctx, time.Hour) })
		j, err := m.Start(t.Context(), JobConfig{
			Name: "ramp", Scenario: busy, BaseURL: "http://shop.test", Grace: Off,
			Stages: []Stage{{Duration: 10 * time.Second, Workers: 10}, {Duration: time.Hour, Workers: 10}, {Duration: 10 * time.Second}},
		})
		require.NoError(t, err)
		woken := func() (seats []int) {
			synctest.Wait()
			j.mu.Lock()
			defer j.mu.Unlock()
			for _, vu := range j.vus {
				if len(vu.rest.wake) > 0 {
					seats = append(seats, vu.seat)
				}
			}
			return seats
		}
		time.Sleep(10*time.Second + time.Millisecond)
		require.Equal(t, 10, j.Snapshot().VUs)
		assert.Empty(t, woken(), "on the way up")
		time.Sleep(time.Hour + 1500*time.Millisecond)
		assert.Subset(t, []int{8, 9}, woken(), "on the way down, those that are to leave")
		require.Less(t, j.Snapshot().Workers, 10)
	})
}

// VUs that wait have each claimed an iteration. When most of them have to leave, those
// that stay have every one of them, and in time.
func TestWhatLeavingVUsHadClaimedIsDoneInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		defer m.Close()
		idle := NewScenario("idle").Task("idle", 1, func(context.Context, *VU) error { return nil })
		j, err := m.Start(t.Context(), JobConfig{
			Name: "shrinks", Scenario: idle, BaseURL: "http://shop.test",
			Rate: PerSecond(10), Workers: 500, MaxWorkers: 500, Duration: 2 * time.Minute,
		})
		require.NoError(t, err)
		time.Sleep(1050 * time.Millisecond)
		require.NoError(t, j.Update(func(c *JobConfig) { c.Workers, c.MaxWorkers = 5, 5 }))
		synctest.Wait()
		require.Equal(t, 5, j.Snapshot().VUs)
		require.NoError(t, j.Wait(t.Context()))
		s := j.Snapshot()
		assert.EqualValues(t, 1200, s.Iterations)
		assert.Zero(t, s.Lag.Max())
		assert.Zero(t, s.Response.Max(), "none began late")
		assert.Zero(t, s.Dropped)
	})
}

func TestSlotsThatWereGivenBackGoInOrder(t *testing.T) {
	s := schedule.New(PerSecond(1).Pacer(0), 0, 0)
	at := func(d int) schedule.Slot { return schedule.Slot{Sched: s, Due: time.Duration(d), OK: true} }
	for _, d := range []int{5, 2, 9, 2, 7} {
		s.GiveBack(at(d))
	}
	assert.Equal(t, at(1), s.Reclaim(at(1)), "none is earlier")
	assert.Equal(t, at(2), s.Reclaim(at(6)), "which is given back for it")
	for _, want := range []int{2, 5, 6, 7, 9} {
		got, ok := s.Claim()
		require.True(t, ok)
		assert.Equal(t, at(want), got)
	}
	got, _ := s.Claim()
	assert.Zero(t, got.Due, "and then those of the pacer")
}
