package serve

import (
	"io/fs"
	"os"

	"github.com/opbeans/loadgen/internal/command"
	"github.com/opbeans/loadgen/scenarios"
)

// ScenarioFolders are where scenarios come from: the built-in ones, and dir, which wins,
// unless it is "". What is in that folder is read when it is needed.
func ScenarioFolders(dir string) (folders []fs.FS, closeAll func(), err error) {
	folders = []fs.FS{scenarios.FS}
	if dir == "" {
		return folders, func() {}, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, command.UsageErrorf("cannot read the scenarios folder: %w", err)
	}
	folder := root.FS()
	if _, err := fs.ReadDir(folder, "."); err != nil {
		_ = root.Close()
		return nil, nil, command.UsageErrorf("cannot read the scenarios folder %s: %w", dir, err)
	}
	return append(folders, folder), func() { _ = root.Close() }, nil
}
