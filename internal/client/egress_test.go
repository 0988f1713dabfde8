package client

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/egress"
	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/testtarget"
)

// only127001 allows one address of this machine of many.
func only127001(t testing.TB) testOption {
	return withTargetRules(testRules(t, "127.0.0.1", "allowed.test"))
}

// host2 is the same server by an address that is not allowed.
func host2(url string) string { return strings.Replace(url, "127.0.0.1", "127.0.0.2", 1) }

func TestRedirectsStayWithinTheRules(t *testing.T) {
	away := testtarget.Shop(t, testtarget.Sees)
	base := testtarget.Shop(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, host2(away), http.StatusFound) })
	rig := newRig(t, testConfig{BaseURL: base}, only127001(t))
	_, err := rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.Dial, "no rule allows 127.0.0.2:")
	assert.ErrorIs(t, err, egress.ErrRefused)
	_, err = rig.do(testRequest{URL: host2(away)})
	classIs(t, err, failure.Dial, "no rule allows 127.0.0.2:")
}

// TestRebindingTargets lets a name lead elsewhere from one look-up to the next.
func TestRebindingTargets(t *testing.T) {
	names := testtarget.ServeDNS(t, map[string][]string{"shop.test.": {"127.0.0.1"}, "allowed.test.": {"127.0.0.2"}, "both.test.": {"127.0.0.2", "127.0.0.1"}})
	base := named(t, testtarget.Shop(t, testtarget.Sees), "shop.test")
	rig := newRig(t, testConfig{BaseURL: base, Config: Config{DNSTTL: noCache, Reuse: "none"}}, only127001(t), withResolver(names.Resolver()))
	rig.mustDo(testRequest{URL: "/"})
	names.Set("shop.test.", "127.0.0.2")
	_, err := rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.Dial, "no rule allows shop.test:")
	assert.ErrorContains(t, err, "(127.0.0.2)")
	names.Set("shop.test.", "169.254.169.254")
	_, err = rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.Dial, "metadata address")
	for range 4 {
		rig.mustDo(testRequest{URL: strings.Replace(base, "shop.test", "both.test", 1)})
	}
	assert.Equal(t, "", redactedError(rig, strings.Replace(base, "shop.test", "allowed.test", 1)), "its name is allowed, wherever it leads")
}

func TestProxiesStayWithinTheRules(t *testing.T) {
	p := &testProxy{}
	forward := httptest.NewServer(p)
	defer forward.Close()
	socksAddr, asked := socks(t, "", "")
	names := testtarget.ServeDNS(t, map[string][]string{"shop.test.": {"127.0.0.2"}, "near.test.": {"127.0.0.1"}})
	base := testtarget.Shop(t, testtarget.Sees)
	tlsBase := strings.Replace(base, "http:", "https:", 1)
	for _, proxy := range []string{forward.URL, "socks5h://" + socksAddr} {
		rig := newRig(t, testConfig{BaseURL: base, Config: Config{Proxy: proxy}}, only127001(t), withResolver(names.Resolver()))
		rig.mustDo(testRequest{URL: "/"})
		rig.mustDo(testRequest{URL: named(t, base, "allowed.test")})
		for _, url := range []string{named(t, base, "near.test"), named(t, base, "shop.test"), host2(base), host2(tlsBase)} {
			_, err := rig.do(testRequest{URL: url})
			classIs(t, err, failure.Dial, "no rule allows")
		}
	}
	assert.Len(t, p.got(), 2, "the proxy hears of none of it")
	assert.Len(t, asked(), 2)

	rig := newRig(t, testConfig{BaseURL: named(t, base, "near.test"), Config: Config{Proxy: "socks5://" + socksAddr}}, only127001(t), withResolver(names.Resolver()))
	rig.mustDo(testRequest{URL: "/"})
	_, err := rig.do(testRequest{URL: named(t, base, "shop.test")})
	classIs(t, err, failure.Dial, "no rule allows shop.test:")
	assert.Len(t, asked(), 3)
}

func TestRulesHoldForHTTP2(t *testing.T) {
	away := testtarget.Shop(t, testtarget.Sees)
	rig := newRig(t, testConfig{BaseURL: testtarget.Shop(t, testtarget.Sees), Config: Config{HTTP: "2"}}, only127001(t))
	_, err := rig.do(testRequest{URL: host2(away)})
	require.Error(t, err)
	assert.ErrorContains(t, err, "no rule allows 127.0.0.2:")
}

// TestRulesHoldForDialers looks at where a dialer has led to.
func TestRulesHoldForDialers(t *testing.T) {
	var led string
	var closed, dials int
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials++
		nc, err := new(net.Dialer).DialContext(ctx, "tcp", led)
		return &countingClose{nc, &closed}, err
	}
	base := testtarget.Shop(t, testtarget.Sees)
	led = strings.TrimPrefix(base, "http://")
	rig := newRig(t, testConfig{BaseURL: "http://shop.test", Config: Config{Reuse: "none"}}, only127001(t), withDial(dial))
	rig.mustDo(testRequest{URL: "/"})
	rig = newRig(t, testConfig{BaseURL: "http://shop.test", Config: Config{Reuse: "none"}}, withTargetRules(testRules(t, "private")), withDial(dial))
	closed = 0
	_, err := rig.do(testRequest{URL: "/"})
	classIs(t, err, failure.Dial, "no rule allows shop.test:80 (127.0.0.1)")
	assert.Equal(t, 1, closed)
	dials = 0
	_, err = rig.do(testRequest{URL: "http://127.0.0.1/"})
	classIs(t, err, failure.Dial, "no rule allows 127.0.0.1:80")
	assert.Zero(t, dials, "what is refused for certain is not dialled")
}

// redactedError is what a request fails with; "" unless the rules are why.
func redactedError(rig *clientRig, url string) string {
	if _, err := rig.do(testRequest{URL: url}); err != nil && strings.Contains(err.Error(), "rule") {
		return err.Error()
	}
	return ""
}

type countingClose struct {
	net.Conn
	closed *int
}

func (c *countingClose) Close() error { *c.closed++; return c.Conn.Close() }

func testRules(t testing.TB, rules ...string) *egress.Rules {
	t.Helper()
	r, err := egress.Parse(rules...)
	require.NoError(t, err)
	return r
}
