package meta

import (
	"maps"
	"slices"
)

// Without returns a copy of the engine that lacks one rule of the first file of a
// service: to see what is said when rules do not know a topic.
func (e *Engine) Without(service string, index int) *Engine {
	old := e.rules.Load()
	set := &ruleset{byService: maps.Clone(old.byService), schemas: old.schemas}
	entries := slices.Clone(set.byService[service])
	if len(entries) > 0 && entries[0].get() != nil {
		p := entries[0].get()
		less := &program{file: p.file, service: p.service, prefixes: p.prefixes, people: p.people, fetch: p.fetch, tables: p.tables, varNames: p.varNames, top: p.top, groups: p.groups}
		less.rules = slices.DeleteFunc(slices.Clone(p.rules), func(r *rule) bool { return r.index == index })
		entries[0] = &entry{file: p.file, program: less}
	}
	set.byService[service] = entries
	copied := &Engine{cfg: e.cfg, logger: e.logger, pages: e.pages, world: e.world}
	copied.rules.Store(set)
	return copied
}
