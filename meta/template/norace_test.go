//go:build !race

package template_test

const slowdown = 1
