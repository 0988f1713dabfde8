package alarm

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAlarmRings(t *testing.T) {
	a := New()
	require.NotNil(t, a)
	defer func() { assert.NoError(t, a.Close()) }()
	for _, d := range []time.Duration{0, time.Microsecond, 300 * time.Microsecond, 5 * time.Millisecond} {
		began := time.Now()
		require.NoError(t, a.Set(d))
		require.NoError(t, a.Wait())
		assert.GreaterOrEqual(t, time.Since(began), d)
	}
	began := time.Now()
	require.NoError(t, a.Set(time.Hour))
	require.NoError(t, a.Set(time.Millisecond), "the later one counts")
	require.NoError(t, a.Wait())
	assert.Less(t, time.Since(began), time.Minute)
}

func TestCloseEndsTheWait(t *testing.T) {
	a := New()
	require.NotNil(t, a)
	require.NoError(t, a.Set(time.Hour))
	over := make(chan error)
	go func() { over <- a.Wait() }()
	require.NoError(t, a.Close())
	require.ErrorIs(t, <-over, os.ErrClosed)
	require.Error(t, a.Set(time.Second))
}

func TestNoAlarmInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		assert.Nil(t, New())
		time.Sleep(24 * time.Hour)
		assert.Nil(t, New())
	})
}
