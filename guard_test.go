package loadgen

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func targetRules(t testing.TB, rules ...string) *TargetRules {
	t.Helper()
	r, err := ParseTargetRules(rules...)
	require.NoError(t, err)
	return r
}

func TestTargetRules(t *testing.T) {
	all := []string{"*", "0.0.0.0/0", "::/0"}
	usual := []string{"loopback", "private", "toxi"}
	for _, test := range []struct {
		rules      []string
		host, addr string // host empty: the address itself
		port       string
		refused    string // part of the error; "" if allowed
	}{
		{usual, "", "127.0.0.1", "80", ""},
		{usual, "", "127.200.0.1", "80", ""},
		{usual, "", "::1", "80", ""},
		{usual, "", "0.0.0.0", "80", ""},
		{usual, "", "::", "80", ""},
		{usual, "", "::ffff:127.0.0.1", "80", ""},
		{usual, "", "10.255.0.1", "80", ""},
		{usual, "", "172.16.0.1", "80", ""},
		{usual, "", "172.32.0.1", "80", "no rule allows 172.32.0.1:80; there are: loopback, private, toxi"},
		{usual, "", "192.168.1.1", "80", ""},
		{usual, "", "fd12::1", "80", ""},
		{usual, "", "192.0.2.1", "80", "no rule allows"},
		{usual, "", "2001:db8::1", "80", "no rule allows [2001:db8::1]:80"},
		{usual, "", "::ffff:192.0.2.1", "80", "no rule allows"},
		{usual, "toxi", "192.0.2.1", "8000", ""},
		{usual, "TOXI.", "192.0.2.1", "8000", ""},
		{usual, "shop.test", "10.0.0.1", "80", ""},
		{usual, "shop.test", "192.0.2.1", "80", "no rule allows shop.test:80 (192.0.2.1)"},
		{usual, "toxi.evil.test", "192.0.2.1", "80", "no rule allows"},
		{[]string{"192.0.2.0/24"}, "", "192.0.2.255", "80", ""},
		{[]string{"192.0.2.7/24"}, "", "192.0.2.1", "80", ""},
		{[]string{"192.0.2.0/24"}, "", "127.0.0.1", "80", "no rule allows"},
		{[]string{"192.0.2.1"}, "", "192.0.2.1", "9", ""},
		{[]string{"192.0.2.1:80"}, "", "192.0.2.1", "80", ""},
		{[]string{"192.0.2.1:80"}, "", "192.0.2.1", "81", "no rule allows"},
		{[]string{"[2001:db8::1]:80"}, "", "2001:db8::1", "80", ""},
		{[]string{"2001:db8::1"}, "", "2001:db8::1", "81", ""},
		{[]string{"Shop.Test:80"}, "shop.test", "192.0.2.1", "80", ""},
		{[]string{"shop.test:80"}, "shop.test", "192.0.2.1", "81", "no rule allows"},
		{[]string{"*.shop.test"}, "a.b.shop.test", "192.0.2.1", "81", ""},
		{[]string{"*.shop.test"}, "shop.test", "192.0.2.1", "81", "no rule allows"},
		{[]string{"*.shop.test"}, "xshop.test", "192.0.2.1", "81", "no rule allows"},
		{[]string{"*"}, "shop.test", "192.0.2.1", "81", ""},
		{nil, "", "127.0.0.1", "80", "no rule allows"},
		// What no rule allows.
		{all, "", "169.254.169.254", "80", "link-local or metadata address"},
		{all, "metadata.test", "169.254.169.254", "80", "metadata.test:80 (169.254.169.254) is a link-local or metadata address, which no rule can allow"},
		{[]string{"metadata.test", "169.254.169.254"}, "metadata.test", "169.254.169.254", "80", "link-local"},
		{all, "", "169.254.0.1", "80", "link-local"},
		{all, "", "fe80::1%eth0", "80", "link-local"},
		{all, "", "::ffff:169.254.169.254", "80", "link-local"},
		{all, "", "::169.254.169.254", "80", "link-local"},
		{all, "", "64:ff9b::a9fe:a9fe", "80", "link-local"},
		{all, "", "2002:a9fe:a9fe::1", "80", "link-local"},
		{all, "", "2002:c000:201::1", "80", ""},
		{all, "", "fd00:ec2::254", "80", "link-local"},
		{usual, "", "fd00:ec2::254", "80", "link-local"},
		{usual, "", "fd00:ec2::23", "80", "link-local"}, // credentials of a pod in EKS
		{all, "", "64:ff9b:1::169.254.169.254", "80", "link-local"},
		{all, "", "64:ff9b:1:abcd::169.254.169.254", "80", "link-local"},
		{all, "", "::ffff:0:169.254.169.254", "80", "link-local"},
		{all, "", "100.100.100.200", "80", "link-local"},
		{all, "", "168.63.129.16", "80", "link-local"},
		{all, "", "ff02::1", "80", "link-local"},
	} {
		addr := netip.MustParseAddr(test.addr)
		host := test.host
		if host == "" {
			host = addr.String()
		}
		err := targetRules(t, test.rules...).refuses(host, test.port, addr)
		if test.refused == "" {
			assert.NoError(t, err, "%v: %s %s", test.rules, host, addr)
			continue
		}
		assert.ErrorContains(t, err, test.refused, "%v: %s %s", test.rules, host, addr)
		assert.ErrorIs(t, err, ErrTargetRefused)
	}
	for _, bad := range []string{"", "10.0.0.0/33", "shop/8", "shop:0", "shop:x", "http://shop", "a b", "*:80", "sh*p", "user@shop", "fe80::1%eth0", "[::1"} {
		_, err := ParseTargetRules("loopback", bad)
		assert.ErrorContains(t, err, "target rule ", "%q", bad)
	}
}

// only127001 allows one address of this machine of many.
func only127001(t testing.TB) Option {
	return WithTargetRules(targetRules(t, "127.0.0.1", "allowed.test"))
}

// host2 is the same server by an address that is not allowed.
func host2(url string) string { return strings.Replace(url, "127.0.0.1", "127.0.0.2", 1) }

func TestRefusedStart(t *testing.T) {
	for field, cfg := range map[string]JobConfig{
		"url":                     {BaseURL: "http://127.0.0.2:80"},
		"connect_to.shop.test:80": {BaseURL: "http://127.0.0.1", ConnectTo: map[string]string{"shop.test:80": "127.0.0.2:80"}},
		"proxy":                   {BaseURL: "http://allowed.test", Proxy: "http://127.0.0.2:3128"},
	} {
		m := New(only127001(t))
		cfg.Name, cfg.Scenario = "job", getsAndMore()
		_, err := m.Start(t.Context(), cfg)
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid, field)
		assert.Equal(t, field, invalid.Fields[0].Field)
		assert.Contains(t, invalid.Fields[0].Message, "no rule allows 127.0.0.2:")
		assert.Empty(t, m.List(), "nothing was started")
		m.Close()
	}
	m := New(WithTargetRules(targetRules(t, "allowed.test")))
	defer m.Close()
	_, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: getsAndMore(), BaseURL: "http://other.test"})
	assert.ErrorContains(t, err, "url: target refused: no rule allows other.test:80; there are: allowed.test", "names alone decide")
	_, err = m.Start(t.Context(), JobConfig{Name: "job", Scenario: getsAndMore(), BaseURL: "http://169.254.169.254/latest/meta-data"})
	assert.ErrorContains(t, err, "metadata address, which no rule can allow")
}

// TestRefusedUpdate leaves the job as it is.
func TestRefusedUpdate(t *testing.T) {
	m := New(only127001(t))
	defer m.Close()
	base := shop(t, sees)
	j, err := m.Start(t.Context(), JobConfig{Name: "job", Scenario: getsAndMore(), BaseURL: base})
	require.NoError(t, err)
	assert.ErrorContains(t, j.Update(func(c *JobConfig) { c.BaseURL = "http://127.0.0.2" }), "no rule allows")
	assert.Equal(t, base, j.Config().BaseURL)
	assert.Equal(t, StateRunning, j.State())
}

func TestRedirectsStayWithinTheRules(t *testing.T) {
	away := shop(t, sees)
	base := shop(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, host2(away), http.StatusFound) })
	rig := newRig(t, JobConfig{BaseURL: base}, only127001(t))
	_, err := rig.do(Request{URL: "/"})
	classIs(t, err, ClassDial, "no rule allows 127.0.0.2:")
	assert.ErrorIs(t, err, ErrTargetRefused)
	_, err = rig.do(Request{URL: host2(away)})
	classIs(t, err, ClassDial, "no rule allows 127.0.0.2:")
}

// TestRebindingTargets lets a name lead elsewhere from one look-up to the next.
func TestRebindingTargets(t *testing.T) {
	names := serveDNS(t, map[string][]string{"shop.test.": {"127.0.0.1"}, "allowed.test.": {"127.0.0.2"}, "both.test.": {"127.0.0.2", "127.0.0.1"}})
	base := named(t, shop(t, sees), "shop.test")
	rig := newRig(t, JobConfig{BaseURL: base, DNSTTL: NoDNSCache, Reuse: "none"}, only127001(t), WithResolver(names.resolver()))
	rig.mustDo(Request{URL: "/"})
	names.set("shop.test.", "127.0.0.2")
	_, err := rig.do(Request{URL: "/"})
	classIs(t, err, ClassDial, "no rule allows shop.test:")
	assert.ErrorContains(t, err, "(127.0.0.2)")
	names.set("shop.test.", "169.254.169.254")
	_, err = rig.do(Request{URL: "/"})
	classIs(t, err, ClassDial, "metadata address")
	for range 4 {
		rig.mustDo(Request{URL: strings.Replace(base, "shop.test", "both.test", 1)})
	}
	assert.Equal(t, "", redactedError(rig, strings.Replace(base, "shop.test", "allowed.test", 1)), "its name is allowed, wherever it leads")
}

// redactedError is what a request fails with; "" unless the rules are why.
func redactedError(rig *clientRig, url string) string {
	if _, err := rig.do(Request{URL: url}); err != nil && strings.Contains(err.Error(), "rule") {
		return err.Error()
	}
	return ""
}

func TestProxiesStayWithinTheRules(t *testing.T) {
	p := &testProxy{}
	forward := httptest.NewServer(p)
	defer forward.Close()
	socksAddr, asked := socks(t, "", "")
	names := serveDNS(t, map[string][]string{"shop.test.": {"127.0.0.2"}, "near.test.": {"127.0.0.1"}})
	base := shop(t, sees)
	tlsBase := strings.Replace(base, "http:", "https:", 1)
	for _, proxy := range []string{forward.URL, "socks5h://" + socksAddr} {
		rig := newRig(t, JobConfig{BaseURL: base, Proxy: proxy}, only127001(t), WithResolver(names.resolver()))
		rig.mustDo(Request{URL: "/"})
		rig.mustDo(Request{URL: named(t, base, "allowed.test")})
		for _, url := range []string{named(t, base, "near.test"), named(t, base, "shop.test"), host2(base), host2(tlsBase)} {
			_, err := rig.do(Request{URL: url})
			classIs(t, err, ClassDial, "no rule allows")
		}
	}
	assert.Len(t, p.got(), 2, "the proxy hears of none of it")
	assert.Len(t, asked(), 2)

	rig := newRig(t, JobConfig{BaseURL: named(t, base, "near.test"), Proxy: "socks5://" + socksAddr}, only127001(t), WithResolver(names.resolver()))
	rig.mustDo(Request{URL: "/"})
	_, err := rig.do(Request{URL: named(t, base, "shop.test")})
	classIs(t, err, ClassDial, "no rule allows shop.test:")
	assert.Len(t, asked(), 3)
}

func TestRulesHoldForHTTP2(t *testing.T) {
	away := shop(t, sees)
	rig := newRig(t, JobConfig{BaseURL: shop(t, sees), HTTP: "2"}, only127001(t))
	_, err := rig.do(Request{URL: host2(away)})
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
	base := shop(t, sees)
	led = strings.TrimPrefix(base, "http://")
	rig := newRig(t, JobConfig{BaseURL: "http://shop.test", Reuse: "none"}, only127001(t), WithDialContext(dial))
	rig.mustDo(Request{URL: "/"})
	rig = newRig(t, JobConfig{BaseURL: "http://shop.test", Reuse: "none"}, WithTargetRules(targetRules(t, "private")), WithDialContext(dial))
	closed = 0
	_, err := rig.do(Request{URL: "/"})
	classIs(t, err, ClassDial, "no rule allows shop.test:80 (127.0.0.1)")
	assert.Equal(t, 1, closed)
	dials = 0
	_, err = rig.do(Request{URL: "http://127.0.0.1/"})
	classIs(t, err, ClassDial, "no rule allows 127.0.0.1:80")
	assert.Zero(t, dials, "what is refused for certain is not dialled")
}

type countingClose struct {
	net.Conn
	closed *int
}

func (c *countingClose) Close() error { *c.closed++; return c.Conn.Close() }
