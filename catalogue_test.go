package loadgen

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const homeYAML = "description: home\ntasks:\n  - name: home\n    request: GET /\n"

func mapFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestCatalogueReadsWhenAsked(t *testing.T) {
	dir := t.TempDir()
	c := NewCatalogue(os.DirFS(dir))
	assert.Empty(t, c.List())
	_, err := c.Load("shop")
	require.ErrorIs(t, err, ErrScenarioNotFound)
	assert.ErrorContains(t, err, "there are none")

	file := filepath.Join(dir, "shop.yaml")
	require.NoError(t, os.WriteFile(file, []byte(homeYAML), 0o600))
	assert.Equal(t, []ScenarioInfo{{Name: "shop", Description: "home", File: "shop.yaml"}}, c.List())
	s, err := c.Load("shop")
	require.NoError(t, err)
	assert.Equal(t, "shop.yaml", s.File())

	require.NoError(t, os.WriteFile(file, []byte("tasks: 1"), 0o600))
	info := c.List()
	require.Len(t, info, 1)
	var se *ScenarioError
	require.ErrorAs(t, info[0].Err, &se)
	assert.Equal(t, "shop.yaml", se.File)
	_, err = c.Load("shop")
	require.ErrorAs(t, err, &se)
	src, err := c.Source("shop")
	require.NoError(t, err, "the text can be had even so")
	assert.Equal(t, "tasks: 1", string(src))
}

// TestCatalogueParsesOnce holds that a text is parsed once, that its users cannot
// disturb each other, and that a change counts even if size and time say nothing.
func TestCatalogueParsesOnce(t *testing.T) {
	folder := fstest.MapFS{"shop.yaml": mapFile(homeYAML), "bad.yaml": mapFile("tasks: 1")}
	c := NewCatalogue(folder)
	load := func() *Scenario {
		s, err := c.Load("shop")
		require.NoError(t, err)
		return s
	}
	first := load()
	assert.Same(t, first.tasks[0].yaml, load().tasks[0].yaml)
	first.Describe("mine").Task("more", 1, nil).Variable("X", 1)
	assert.Equal(t, "home", load().Description())
	assert.Equal(t, []string{"home"}, load().TaskNames())
	assert.Empty(t, load().Variables())
	assert.Equal(t, c.List(), c.List())
	assert.Less(t, testing.AllocsPerRun(10, func() { c.List() }), 100.0, "to parse takes thousands")

	folder["shop.yaml"] = mapFile(strings.ReplaceAll(homeYAML, "home", "work"))
	assert.Equal(t, "work", load().Description())
	assert.Equal(t, "home", first.tasks[0].name, "a scenario that is in use stays as it was")
	delete(folder, "shop.yaml")
	assert.Len(t, c.List(), 1)
	_, err := c.Load("shop")
	require.ErrorIs(t, err, ErrScenarioNotFound)
}

func TestCatalogueFolders(t *testing.T) {
	first := fstest.MapFS{
		"a.yaml":      mapFile(homeYAML),
		"b.yml":       mapFile(homeYAML),
		".hid.yaml":   mapFile(homeYAML),
		".yaml":       mapFile(homeYAML),
		"note.txt":    mapFile("x"),
		"sub/c.yaml":  mapFile(homeYAML),
		"dir.yaml/x":  mapFile("x"),
		"d.yaml":      mapFile(homeYAML),
		"d.yml":       mapFile("broken"),
		"schema.json": mapFile("{}"),
	}
	second := fstest.MapFS{"a.yaml": mapFile(strings.ReplaceAll(homeYAML, "home", "second")), "b.yaml": mapFile("tasks: []")}
	c := NewCatalogue(first, second)
	var names []string
	for _, info := range c.List() {
		names = append(names, info.Name+" "+info.Description)
	}
	assert.Equal(t, []string{"a second", "b ", "d home"}, names)
	_, err := c.Load("b")
	assert.ErrorContains(t, err, "b.yaml:1:8: expected 1 to 1000 tasks, found 0")
}

func TestCatalogueNames(t *testing.T) {
	c := NewCatalogue(fstest.MapFS{"shop.yaml": mapFile(homeYAML), "sub/x.yaml": mapFile(homeYAML)})
	for _, name := range []string{
		"", ".", "..", "../shop", "./shop", "/shop", "sub/x", "sub", "shop.yaml", "shop\x00", "Shop ", strings.Repeat("x", 10_000),
	} {
		_, err := c.Load(name)
		require.ErrorIs(t, err, ErrScenarioNotFound, name)
		assert.Less(t, len(err.Error()), 300)
		_, err = c.Source(name)
		require.ErrorIs(t, err, ErrScenarioNotFound, name)
	}
	_, err := c.Load("shpo")
	assert.ErrorContains(t, err, `"shpo" (did you mean "shop"?); there are shop`)
}

func TestCatalogueLimits(t *testing.T) {
	c := NewCatalogue(fstest.MapFS{
		"big.yaml":  mapFile(homeYAML + strings.Repeat("#", MaxScenarioSize)),
		"pipe.yaml": &fstest.MapFile{Mode: fs.ModeNamedPipe},
	})
	_, err := c.Load("big")
	require.ErrorContains(t, err, "larger than 1048576 bytes")
	_, err = c.Load("pipe")
	require.ErrorContains(t, err, "not a regular file")
	for _, info := range c.List() {
		assert.Error(t, info.Err, info.Name)
	}
}

func TestCatalogueUnreadableFolder(t *testing.T) {
	c := NewCatalogue(os.DirFS(filepath.Join(t.TempDir(), "missing")), fstest.MapFS{"shop.yaml": mapFile(homeYAML)})
	assert.Len(t, c.List(), 1)
	_, err := c.Load("shop")
	require.NoError(t, err)
	_, err = c.Load("other")
	require.ErrorIs(t, err, ErrScenarioNotFound)
	assert.ErrorContains(t, err, "cannot be read")
}

// A file of Molotov is listed with the advice to convert it, and does not take the place
// of a scenario of the same name.
func TestCatalogueListsMolotovFiles(t *testing.T) {
	old := mapFile("from molotov import scenario\n")
	c := NewCatalogue(fstest.MapFS{"home.yaml": mapFile(homeYAML)}, fstest.MapFS{
		"shop.py": old, "home.py": old, "__init__.py": old, "helper.py": mapFile("import os\n"),
	})
	infos := c.List()
	require.Len(t, infos, 3)
	assert.NoError(t, infos[0].Err)
	for _, info := range infos[1:] {
		assert.ErrorContains(t, info.Err, "loadgen from molotov "+info.File)
	}
	assert.Equal(t, "home.py", infos[1].Name)
	var se *ScenarioError
	_, err := c.Load("shop")
	require.ErrorAs(t, err, &se)
	assert.ErrorContains(t, err, "loadgen from molotov shop.py -o shop.yaml")
	_, err = c.Load("home")
	require.NoError(t, err)
}
