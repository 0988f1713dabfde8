package loadgen

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/egress"
	"github.com/opbeans/loadgen/internal/testtarget"
)

func TestRefusedStart(t *testing.T) {
	for field, cfg := range map[string]JobConfig{
		"url":                     {BaseURL: "http://127.0.0.2:80"},
		"connect_to.shop.test:80": {BaseURL: "http://127.0.0.1", Client: ClientConfig{ConnectTo: map[string]string{"shop.test:80": "127.0.0.2:80"}}},
		"proxy":                   {BaseURL: "http://allowed.test", Client: ClientConfig{Proxy: "http://127.0.0.2:3128"}},
	} {
		m := New(WithTargetRules(testRules(t, "127.0.0.1", "allowed.test")))
		cfg.Name, cfg.Scenario = "job", getsAndMore()
		_, err := m.Start(t.Context(), cfg)
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid, field)
		assert.Equal(t, field, invalid.Fields[0].Field)
		assert.Contains(t, invalid.Fields[0].Message, "no rule allows 127.0.0.2:")
		assert.ErrorIs(t, err, ErrTargetRefused, field)
		assert.Empty(t, m.List(), "nothing was started")
		m.Close()
	}
	m := New(WithTargetRules(testRules(t, "allowed.test")))
	defer m.Close()
	_, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: getsAndMore(), BaseURL: "http://other.test"})
	assert.ErrorContains(t, err, "url: target refused: no rule allows other.test:80; there are: allowed.test", "names alone decide")
	_, err = m.Start(t.Context(), JobConfig{Name: "job", Scenario: getsAndMore(), BaseURL: "http://169.254.169.254/latest/meta-data"})
	assert.ErrorContains(t, err, "metadata address, which no rule can allow")
}

// TestRefusedUpdate leaves the job as it is.
func TestRefusedUpdate(t *testing.T) {
	m := New(WithTargetRules(testRules(t, "127.0.0.1", "allowed.test")))
	defer m.Close()
	base := testtarget.Shop(t, testtarget.Sees)
	j, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: getsAndMore(), BaseURL: base})
	require.NoError(t, err)
	assert.ErrorContains(t, j.Update(func(c *JobConfig) { c.BaseURL = "http://127.0.0.2" }), "no rule allows")
	assert.Equal(t, base, j.Config().BaseURL)
	assert.Equal(t, StateRunning, j.State())
}

func testRules(t testing.TB, rules ...string) *egress.Rules {
	t.Helper()
	r, err := egress.Parse(rules...)
	require.NoError(t, err)
	return r
}
