// Package egress has the rules for where jobs may connect to.
package egress

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/opbeans/loadgen/internal/textkit"
)

// ErrRefused is wrapped by the error of a connection that the rules of
// [WithTargetRules] do not allow. Such a request fails with class dial.
var ErrRefused = errors.New("target refused")

// Rules say where jobs may connect to. A rule is one of
//
//	10.1.0.0/16        addresses
//	10.1.2.3           one address
//	shop.test          a host by its name, wherever that leads
//	*.shop.test        all names below one
//	loopback, private  the addresses of this machine, and those of private networks
//	                   (RFC 1918, RFC 4193)
//	*                  anything
//
// and those of a host or an address can have a port: shop.test:8080, [::1]:8080. What
// one rule allows is allowed. No rule allows a link-local address, nor one that clouds
// tell machines their secrets at.
//
// They are checked on the address that is dialled, so that neither a name that leads
// elsewhere by then, nor a redirect, nor ClientConfig.ConnectTo gets around them. A proxy
// must be allowed itself; if it looks names up, a target must be allowed by its name.
// Rules do not change, and are safe for concurrent use.
type Rules struct {
	rules []targetRule
}

type targetRule struct {
	text   string
	any    bool
	port   string // "" for any
	name   string // a host; with a leading dot, those below it
	ranges []netip.Prefix
}

// Parse reads rules. The error names the one that is none.
func Parse(rules ...string) (*Rules, error) {
	t := &Rules{}
	for _, text := range rules {
		r, err := parseTargetRule(strings.ToLower(strings.TrimSpace(text)))
		if err != nil {
			return nil, fmt.Errorf("target rule %.100q: %w", text, err)
		}
		t.rules = append(t.rules, r)
	}
	return t, nil
}

// Rules returns the rules as they were read.
func (t *Rules) Rules() []string {
	texts := make([]string, len(t.rules))
	for i, r := range t.rules {
		texts[i] = r.text
	}
	return texts
}

// String lists the rules.
func (t *Rules) String() string { return strings.Join(t.Rules(), ", ") }

func parseTargetRule(text string) (targetRule, error) {
	r := targetRule{text: text}
	switch text {
	case "*":
		r.any = true
		return r, nil
	case "loopback":
		r.ranges = prefixes("127.0.0.0/8", "::1/128")
		return r, nil
	case "private":
		r.ranges = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
		return r, nil
	}
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return r, errTargetRule
		}
		r.ranges = []netip.Prefix{p.Masked()}
		return r, nil
	}
	host := text
	if h, port, err := net.SplitHostPort(text); err == nil {
		if err := textkit.CheckPort(port); err != nil {
			return r, err
		}
		host, r.port = h, port
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		a = a.Unmap()
		r.ranges = []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		return r, nil
	}
	below, wild := strings.CutPrefix(host, "*.")
	if !textkit.IsHost(below) || strings.ContainsAny(below, "*:[]@%") {
		return r, errTargetRule
	}
	if r.name = strings.TrimSuffix(below, "."); wild {
		r.name = "." + r.name
	}
	return r, nil
}

var errTargetRule = errors.New("must be a host, a host and port, a range of addresses such as 10.1.0.0/16, loopback, private or *")

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// AllowsName tells whether a rule allows a host by its name.
func (t *Rules) AllowsName(host, port string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return slices.ContainsFunc(t.rules, func(r targetRule) bool {
		switch {
		case r.any:
			return true
		case r.name == "" || (r.port != "" && r.port != port):
			return false
		case r.name[0] == '.':
			return strings.HasSuffix(host, r.name)
		}
		return r.name == host
	})
}

// Check says why a host must not be reached at an address, or nil.
func (t *Rules) Check(host, port string, addr netip.Addr) error {
	a := reached(addr)
	if isSecret(a) {
		return fmt.Errorf("%w: %s is a link-local or metadata address, which no rule can allow", ErrRefused, where(host, port, addr))
	}
	allowed := t.AllowsName(host, port) || slices.ContainsFunc(t.rules, func(r targetRule) bool {
		return (r.port == "" || r.port == port) && slices.ContainsFunc(r.ranges, func(p netip.Prefix) bool { return p.Contains(a) })
	})
	if allowed {
		return nil
	}
	return t.Refused(where(host, port, addr))
}

// CheckName says why a host must not be reached through somebody else who looks its
// name up, or nil.
func (t *Rules) CheckName(host, port string) error {
	if a, ok := parseHost(host); ok {
		return t.Check(host, port, a)
	}
	if t.AllowsName(host, port) {
		return nil
	}
	return fmt.Errorf("%w; behind a proxy that looks names up, a rule has to allow the name", t.Refused(net.JoinHostPort(host, port)))
}

// Refused is the error for a place that no rule allows.
func (t *Rules) Refused(where string) error {
	return fmt.Errorf("%w: no rule allows %s; there are: %s", ErrRefused, where, t)
}

// CheckHost says why a host must not be reached, if that is known without looking its
// name up.
func (t *Rules) CheckHost(host, port string) error {
	if a, ok := parseHost(host); ok {
		return t.Check(host, port, a)
	}
	byAddress := func(r targetRule) bool { return len(r.ranges) > 0 && (r.port == "" || r.port == port) }
	if t.AllowsName(host, port) || slices.ContainsFunc(t.rules, byAddress) {
		return nil
	}
	return t.Refused(net.JoinHostPort(host, port))
}

// parseHost reads an address, also in the forms of IPv4 that inet_aton takes, and so a proxy or a
// resolver may: one to four numbers, decimal, octal or hexadecimal, the last of which fills up
// what is left ("2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376").
func parseHost(host string) (netip.Addr, bool) {
	for _, text := range []string{host, strings.TrimSuffix(host, ".")} {
		if a, err := netip.ParseAddr(text); err == nil {
			return a, true
		}
	}
	host = strings.TrimSuffix(host, ".")
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		most := uint64(0xff)
		if i == len(parts)-1 {
			most = 1<<(8*(5-len(parts))) - 1
		}
		n, ok := parseNumber(part)
		if !ok || n > most {
			return netip.Addr{}, false
		}
		if i < len(parts)-1 {
			value |= n << (8 * (3 - i))
		} else {
			value |= n
		}
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// parseNumber reads a number as C does.
func parseNumber(s string) (uint64, bool) {
	base := 10
	switch {
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	if strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}

// where describes what is dialled.
func where(host, port string, addr netip.Addr) string {
	to := net.JoinHostPort(host, port)
	if host == addr.String() {
		return to
	}
	return fmt.Sprintf("%s (%s)", to, addr)
}

// reached is the address at which a packet to another one arrives, as far as is known:
// an IPv4 address written as IPv6, this machine for the unspecified one.
func reached(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	switch {
	case a == netip.IPv4Unspecified():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case a == netip.IPv6Unspecified():
		return netip.IPv6Loopback()
	}
	return a
}

// isSecret tells whether an address is link-local, or one at which a cloud tells its
// machines and containers their credentials: AWS, GCP and Azure (link-local, or as
// listed), Alibaba and Oracle; also where a gateway translates it from IPv6.
func isSecret(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() || a.IsLinkLocalMulticast() || a.IsInterfaceLocalMulticast() {
		return true
	}
	switch a.String() {
	case "fd20:ce::254", "fd00:42::42", "168.63.129.16", "100.100.100.200", "192.0.0.192":
		return true
	}
	if a.Is4() {
		return false
	}
	b := a.As16()
	v4 := func(at ...int) bool {
		return isSecret(netip.AddrFrom4([4]byte{b[at[0]], b[at[1]], b[at[2]], b[at[3]]}))
	}
	within := func(prefix string) bool { return strings.HasPrefix(a.StringExpanded(), prefix) }
	switch {
	case within("fd00:0ec2:"): // AWS: instances, and pods of EKS
		return true
	case within("0064:ff9b:0001:"): // NAT64 of one's own (RFC 8215), with a prefix of any length (RFC 6052)
		return v4(12, 13, 14, 15) || v4(6, 7, 9, 10) || v4(7, 9, 10, 11) || v4(9, 10, 11, 12)
	case within("0064:ff9b:0000:0000:0000:0000:"), // NAT64, RFC 6052
		within("0000:0000:0000:0000:ffff:0000:"), // translated, RFC 2765
		within("0000:0000:0000:0000:0000:0000:"), // IPv4-compatible
		string(b[9:12]) == "\x00\x5e\xfe":        // ISATAP, RFC 5214
		return v4(12, 13, 14, 15)
	case within("2001:0000:"): // Teredo, RFC 4380: the server, and the client with its bits turned over
		client := netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})
		return v4(4, 5, 6, 7) || isSecret(client)
	case b[0] == 0x20 && b[1] == 0x02: // 6to4
		return v4(2, 3, 4, 5)
	}
	return false
}
