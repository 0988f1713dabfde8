// Package scenarios holds the built-in scenario files of loadgen, and the JSON
// Schema of their format:
//
//	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
//
// docs/scenarios.md explains the format. A folder of your own, given after FS,
// replaces those of the same name.
package scenarios

import (
	"embed"
	"io/fs"
)

// FS holds the scenario files at its top, as loadgen's WithScenarios wants them,
// and schema.json beside them. It is safe for concurrent use.
//
//go:embed *.yaml schema.json
var FS embed.FS

//go:embed standalone/standalone.yaml
var standalone embed.FS

// Standalone returns the folder of the scenario standalone, which the jobs of OPBEANS_URLS run: the
// mix of molotov_scenarios with fixed weights of errors. The API does not offer it.
func Standalone() fs.FS {
	folder, err := fs.Sub(standalone, "standalone")
	if err != nil {
		panic(err) // cannot be: the name is a constant
	}
	return folder
}
