// Package secrets knows by their names the values that nobody else should see: those of
// headers, variables, parameters and fields. It errs on the side of hiding.
package secrets

import "regexp"

// Words is a regular expression, to be read without regard to case, for parts of names
// whose values are secrets. It never matches across a quote, "=" or "&".
const Words = `auth\b|auth[-_0-9]|oauth|authorization|cookie|credential|password|passwd|passphrase|secret|token|signature|session` +
	`|\bpwd\b|[-_]pwd\b|\bkey\b|[-_]key\b|(?:api|access|private)[-_]?key`

// Named tells whether the value of this name is a secret.
func Named(name string) bool { return regexp.MustCompile(`(?i)` + Words).MatchString(name) }
