package curlcmd

import (
	"fmt"
	"slices"
	"strings"
)

// The options of curl by what they mean here. Of the names, one of two letters is the
// short form of the next.
const (
	// flags of the request
	flags = `-G get -I head -g globoff -: next -L location location-trusted path-as-is form-escape compressed basic`
	// options of the request, with a value
	values = `-X request -H header -d data data-raw data-ascii data-binary data-urlencode json -F form form-string -u user -b cookie
		-A user-agent -e referer url url-query -T upload-file oauth2-bearer -r range`
	// what says nothing about a request: output, and how curl goes about its work
	quietFlags = `-s silent -S show-error -v verbose -i include show-headers -f fail fail-with-body fail-early -O remote-name
		remote-name-all -J remote-header-name -R remote-time -N no-buffer buffer -# progress-bar progress-meter no-progress-meter styled-output create-dirs
		no-clobber clobber xattr trace-time trace-ids -j junk-session-cookies -Z parallel parallel-immediate remove-on-error -q disable suppress-connect-headers
		-B use-ascii -a append -l list-only -M manual -V version skip-existing out-null raw keepalive no-keepalive sessionid no-sessionid alpn no-alpn
		npn no-npn tcp-nodelay tcp-fastopen false-start compressed-ssh metalink`
	quietValues = `-o output -w write-out -D dump-header -c cookie-jar stderr trace trace-ascii trace-config output-dir create-file-mode
		etag-save libcurl parallel-max parallel-max-host -h help keepalive-time keepalive-cnt max-filesize`
	// what a job says instead
	jobFlags = `-k insecure -4 ipv4 -6 ipv6 -0 http1.0 http1.1 http2 http2-prior-knowledge http3 http3-only http0.9
		-2 sslv2 -3 sslv3 -1 tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 ssl ssl-reqd ssl-no-revoke ssl-revoke-best-effort ssl-allow-beast
		ssl-auto-client-cert cert-status ca-native crlf haproxy-protocol -p proxytunnel proxy-anyauth proxy-basic proxy-digest proxy-insecure
		proxy-negotiate proxy-ntlm proxy-ssl-allow-beast proxy-ssl-auto-client-cert proxy-tlsv1 proxy-ca-native proxy-http2 retry-all-errors
		retry-connrefused doh-cert-status doh-insecure disable-eprt disable-epsv disallow-username-in-url ignore-content-length mptcp tls-earlydata
		socks5-basic socks5-gssapi socks5-gssapi-nec`
	jobValues = `-x proxy preproxy proxy1.0 -U proxy-user proxy-header cacert capath -E cert cert-type key key-type pass pinnedpubkey ciphers
		curves tls-max tls13-ciphers tlsauthtype tlsuser tlspassword crlfile engine egd-file random-file resolve connect-to interface local-port
		unix-socket abstract-unix-socket dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url -m max-time connect-timeout retry retry-delay
		retry-max-time max-redirs limit-rate rate -Y speed-limit -y speed-time happy-eyeballs-timeout-ms expect100-timeout noproxy
		socks4 socks4a socks5 socks5-hostname socks5-gssapi-service alt-svc hsts proto proto-default proto-redir proxy-cacert proxy-capath proxy-cert
		proxy-cert-type proxy-ciphers proxy-crlfile proxy-key proxy-key-type proxy-pass proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers
		proxy-tlsauthtype proxy-tlspassword proxy-tlsuser ech ip-tos vlan-priority haproxy-clientip ipfs-gateway`
	// what would change the request, and cannot be said in a scenario
	lostFlags = `digest ntlm ntlm-wb negotiate anyauth -n netrc netrc-optional post301 post302 post303 tr-encoding ftp-create-dirs
		ftp-pasv ftp-pret ftp-skip-pasv-ip ftp-ssl-ccc ftp-ssl-control mail-rcpt-allowfails sasl-ir tftp-no-options`
	lostValues = `-K config netrc-file aws-sigv4 -z time-cond -C continue-at etag-compare request-target delegation login-options service-name
		krb hostpubmd5 hostpubsha256 pubkey mail-auth mail-from mail-rcpt sasl-authzid ftp-account ftp-alternative-to-user ftp-method -P ftp-port
		ftp-ssl-ccc-mode -Q quote -t telnet-option tftp-blksize variable expand-url expand-data expand-header`
)

type class uint8

const (
	unknown class = iota
	ofRequest
	quiet
	ofJob
	lost
)

// kind is what an option means.
type kind struct {
	long  string
	class class
	takes bool // a value
}

// kinds are the options by their names, with their dashes.
func kinds() map[string]kind {
	all := map[string]kind{}
	for _, list := range []struct {
		names string
		class class
		takes bool
	}{
		{flags, ofRequest, false},
		{values, ofRequest, true},
		{quietFlags, quiet, false},
		{quietValues, quiet, true},
		{jobFlags, ofJob, false},
		{jobValues, ofJob, true},
		{lostFlags, lost, false},
		{lostValues, lost, true},
	} {
		short := ""
		for _, name := range strings.Fields(list.names) {
			if len(name) == 2 && name[0] == '-' {
				short = name
				continue
			}
			k := kind{name, list.class, list.takes}
			if all["--"+name] = k; short != "" {
				all[short] = k
			}
			short = ""
		}
	}
	return all
}

// find is the option of a name, which may be the beginning of a long one.
func find(all map[string]kind, name string) (kind, error) {
	if k, ok := all[name]; ok {
		return k, nil
	}
	if strings.HasPrefix(name, "--") {
		if k, ok := all["--"+strings.TrimPrefix(name, "--no-")]; ok && strings.HasPrefix(name, "--no-") && !k.takes {
			return kind{"no-" + k.long, quiet, false}, nil
		}
		var found []string
		for long := range all {
			if strings.HasPrefix(long, name) {
				found = append(found, long)
			}
		}
		if len(found) == 1 {
			return all[found[0]], nil
		}
		slices.Sort(found)
	}
	return kind{}, fmt.Errorf("the option %s of curl is not known here", clip(name))
}

// each calls what for every option and every other word of a command line.
func each(words []string, what func(k kind, given, value string) error) error {
	all := kinds()
	ended := false // by --
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" && !ended {
			ended = true
			continue
		}
		if ended || !strings.HasPrefix(word, "-") || word == "-" {
			if err := what(kind{long: "url", class: ofRequest, takes: true}, "", word); err != nil {
				return err
			}
			continue
		}
		given, value, attached := word, "", false
		if !strings.HasPrefix(word, "--") && len(word) > 2 {
			given, value, attached = word[:2], word[2:], true
		} else if name, v, ok := strings.Cut(word, "="); ok {
			given, value, attached = name, v, true
		}
		k, err := find(all, given)
		if err != nil {
			return err
		}
		switch {
		case k.takes && !attached:
			if i++; i == len(words) {
				return fmt.Errorf("the option %s needs a value", given)
			}
			value = words[i]
		case !k.takes && attached && !strings.HasPrefix(word, "--"):
			words = slices.Insert(slices.Clone(words), i+1, "-"+value) // several short options in one word
			value = ""
		}
		if err := what(k, given, value); err != nil {
			return err
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
