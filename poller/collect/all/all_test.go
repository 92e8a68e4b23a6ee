package all

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midplane/schemas/catalog"
)

// Every folder of a collector is in the list, explained, and passes the exam.
func TestListIsWhole(t *testing.T) {
	folders, err := filepath.Glob("../*/README.md")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders, %v", len(folders), err)
	}
	list := Collectors()
	if len(list) != len(folders) {
		t.Errorf("%d collectors in the list, %d folders with a README.md", len(list), len(folders))
	}
	for name, c := range list {
		if c == nil {
			t.Errorf("%s is nil", name)
		}
		readme, err := os.ReadFile(filepath.Join("..", name, "README.md"))
		if err != nil {
			t.Error(err)
		}
		for _, want := range []string{"## Parameters", "```yaml", "collector: " + name} {
			if !strings.Contains(string(readme), want) {
				t.Errorf("README.md of %s has no %q", name, want)
			}
		}
		test, err := os.ReadFile(filepath.Join("..", name, name+"_test.go"))
		if err != nil {
			t.Error(err)
		}
		if !strings.Contains(string(test), "collecttest.Run(") {
			t.Errorf("%s does not sit the exam", name)
		}
	}
}

// No type of message lists collectors: a new one needs no version of a type.
func TestNoTypeListsCollectors(t *testing.T) {
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if enum, ok := v["enum"].([]any); ok {
				for _, word := range enum {
					if name, ok := word.(string); ok && Collectors()[name] != nil {
						t.Errorf("%s lists collector %s", at, name)
					}
				}
			}
			for key, sub := range v {
				walk(at+"/"+key, sub)
			}
		case []any:
			for _, sub := range v {
				walk(at, sub)
			}
		}
	}
	for _, s := range catalog.Schemas() {
		var doc any
		if err := json.Unmarshal(s.Schema, &doc); err != nil {
			t.Fatal(err)
		}
		walk(string(s.Type), doc)
	}
}
