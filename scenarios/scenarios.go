// Package scenarios holds the built-in scenario files of loadgen, and the JSON
// Schema of their format:
//
//	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
//
// docs/scenarios.md explains the format. A folder of your own, given after FS,
// replaces those of the same name.
package scenarios

import "embed"

// FS holds the scenario files at its top, as loadgen's WithScenarios wants them,
// and schema.json beside them. It is safe for concurrent use.
//
//go:embed *.yaml schema.json
var FS embed.FS
