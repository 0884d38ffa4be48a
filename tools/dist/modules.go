package main

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// writeModules writes the software bill of materials: all modules that the Go command has
// stored in the binaries, and Go's standard library.
func (r *release) writeModules() error {
	modules := map[string]cyclonedx.Component{}
	main := cyclonedx.Component{Type: cyclonedx.ComponentTypeApplication, Name: "relcheck", Version: r.version, BOMRef: "relcheck@" + r.version,
		Properties: &[]cyclonedx.Property{{Name: "vcs.revision", Value: r.commit}}}
	for _, p := range r.platforms {
		info := r.builds[p]
		library := goModule("std", strings.TrimPrefix(info.GoVersion, "go"), "")
		modules[library.BOMRef] = library
		for _, m := range info.Deps {
			c := goModule(m.Path, m.Version, m.Sum)
			if m.Replace != nil {
				c = goModule(m.Replace.Path, m.Replace.Version, m.Replace.Sum)
			}
			modules[c.BOMRef] = c
		}
	}
	names := slices.Sorted(maps.Keys(modules))
	components := []cyclonedx.Component{}
	for _, name := range names {
		components = append(components, modules[name])
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Timestamp: r.time.Format(time.RFC3339), Component: &main}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: main.BOMRef, Dependencies: &names}}
	out, err := os.Create(r.output("modules.cdx.json"))
	if err != nil {
		return err
	}
	err = cyclonedx.NewBOMEncoder(out, cyclonedx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cyclonedx.SpecVersion1_6)
	return errors.Join(err, out.Close())
}

// goModule describes a Go module. sum is its checksum in the format of go.sum, or empty.
func goModule(path, version, sum string) cyclonedx.Component {
	url := "pkg:golang/" + strings.ToLower(path) + "@" + strings.ReplaceAll(version, "+", "%2B")
	c := cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: url, BOMRef: url}
	if sum != "" {
		c.Properties = &[]cyclonedx.Property{{Name: "go.sum", Value: sum}}
	}
	return c
}
