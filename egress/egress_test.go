package egress

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
		{all, "", "fd00:42::42", "80", "link-local"},                   // Scaleway
		{all, "", "64:ff9b:1:a9fe:a9:fe00::", "80", "link-local"},      // NAT64 with a prefix of 48 bits
		{all, "", "64:ff9b:1:ff:a9fe:a9fe::", "80", ""},                // no such address in it
		{all, "", "64:ff9b:1:0:a9:fea9:fe00:0", "80", "link-local"},    // of 64 bits
		{all, "", "2001:0:a9fe:a9fe::1", "80", "link-local"},           // Teredo, by its server
		{all, "", "2001:0:c000:201:0:0:5601:5601", "80", "link-local"}, // and by its client
		{all, "", "2001:0:c000:201:0:0:3fff:fdfe", "80", ""},
		{all, "", "2001:db8::5efe:a9fe:a9fe", "80", "link-local"}, // ISATAP
		{all, "", "168.63.129.16", "80", "link-local"},
		{all, "", "ff02::1", "80", "link-local"},
	} {
		addr := netip.MustParseAddr(test.addr)
		host := test.host
		if host == "" {
			host = addr.String()
		}
		err := testRules(t, test.rules...).Check(host, test.port, addr)
		if test.refused == "" {
			assert.NoError(t, err, "%v: %s %s", test.rules, host, addr)
			continue
		}
		assert.ErrorContains(t, err, test.refused, "%v: %s %s", test.rules, host, addr)
		assert.ErrorIs(t, err, ErrRefused)
	}
	for _, bad := range []string{"", "10.0.0.0/33", "shop/8", "shop:0", "shop:x", "http://shop", "a b", "*:80", "sh*p", "user@shop", "fe80::1%eth0", "[::1"} {
		_, err := Parse("loopback", bad)
		assert.ErrorContains(t, err, "target rule ", "%q", bad)
	}
}

func testRules(t testing.TB, rules ...string) *Rules {
	t.Helper()
	r, err := Parse(rules...)
	require.NoError(t, err)
	return r
}

// A proxy, or a resolver of C, reads addresses in more forms than Go does.
func TestAddressesInOtherFormsAreRefused(t *testing.T) {
	rules := testRules(t, "*")
	for _, host := range []string{
		"2852039166", "0xa9fea9fe", "0XA9FEA9FE", "025177524776", "169.254.43518", "169.16689662", "0251.0376.0251.0376",
		"0xa9.0xfe.0xa9.0xfe", "169.254.169.254.", "169.0xfe.43518",
	} {
		assert.ErrorContains(t, rules.CheckName(host, "80"), "link-local", host)
		assert.ErrorContains(t, rules.CheckHost(host, "80"), "link-local", host)
	}
	for _, host := range []string{"shop", "1.2.3.4.5", "0x", "09", "256.1.1.1", "4294967296", "1..2", "deadbeef", "0xshop"} {
		assert.NoError(t, rules.CheckName(host, "80"), host)
	}
	assert.NoError(t, testRules(t, "127.0.0.1").CheckName("2130706433", "80"), "the address that a rule allows")
	assert.Error(t, testRules(t, "127.0.0.1").CheckName("2130706434", "80"))
}

func FuzzParseHost(f *testing.F) {
	f.Add("0251.0376.43518")
	f.Fuzz(func(t *testing.T, host string) {
		a, ok := parseHost(host)
		if b, err := netip.ParseAddr(host); err == nil {
			require.True(t, ok)
			require.Equal(t, b, a)
		} else if ok {
			require.True(t, a.Is4() || host[len(host)-1] == '.', host)
		}
	})
}
