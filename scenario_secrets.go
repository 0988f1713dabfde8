package loadgen

import (
	"errors"
	"slices"

	"github.com/opbeans/loadgen/internal/fault"
	"github.com/opbeans/loadgen/internal/secrets"
)

// Secret declares names of environment variables whose values are secrets, and
// returns s: passwords, tokens, keys. Tasks get them with [VU.Secret]. A job with the
// scenario starts only where the environment (see [WithEnv]) has them all; a job's own
// variables cannot set them. Their values are left out of everything that is shown:
// error messages, logs, samples and their URLs read REDACTED instead.
func (s *Scenario) Secret(names ...string) *Scenario {
	for _, name := range names {
		if !slices.Contains(s.secrets, name) {
			s.secrets = append(s.secrets, name)
		}
	}
	return s
}

// Secrets returns the names of the declared secrets, in the order of their
// declaration. Only [VU.Secret] returns values.
func (s *Scenario) Secrets() []string { return slices.Clone(s.secrets) }

// Secret returns the value of a secret that the scenario declares, or "" if it
// declares none of that name. It is that of the start of this iteration.
func (vu *VU) Secret(name string) string { return vu.plan.secrets[name] }

var errSecretMissing = errors.New("is a secret of this scenario, and the environment does not have it")

// resolveSecrets takes the secrets from the environment. Without one, as for
// listings, they are empty.
func (s *Scenario) resolveSecrets(lookupEnv func(string) (string, bool)) (map[string]string, fault.List) {
	var f fault.List
	if len(s.secrets) == 0 {
		return nil, nil
	}
	values := map[string]string{}
	for _, name := range s.secrets {
		values[name] = ""
		if lookupEnv == nil {
			continue
		}
		if v, ok := lookupEnv(name); ok && v != "" {
			values[name] = v
		} else {
			f.Add("secrets."+name, "%v", errSecretMissing)
		}
	}
	return values, f
}

// maskURL hides the secrets in an address.
func maskURL(m *secrets.Mask, u *SampleURL) {
	if m == nil {
		return
	}
	u.Host, u.Path, u.Query = m.Text(u.Host), m.Text(u.Path), m.Text(u.Query)
}

// maskExemplar hides the secrets in a request that is kept. Credentials are hidden by the
// name of their header.
func maskExemplar(m *secrets.Mask, e *Exemplar) {
	if m == nil {
		return
	}
	e.URL, e.Body, e.Error = m.Text(e.URL), m.Text(e.Body), m.Text(e.Error)
	for _, values := range e.Header {
		for i := range values {
			values[i] = m.Text(values[i])
		}
	}
}

// maskFaults hides the secrets in messages about a job's configuration.
func maskFaults(m *secrets.Mask, f fault.List) {
	if m == nil {
		return
	}
	for i := range f {
		f[i].Message, f[i].Err = m.Text(f[i].Message), m.Error(f[i].Err)
	}
}
