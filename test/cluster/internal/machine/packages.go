package machine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// missingPackages returns the Debian packages of the programs that the machine does not have.
func missingPackages() []string {
	var packages []string
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			packages = append(packages, pkg)
		}
	}
	if _, err := CNIPlugins(); err != nil {
		packages = append(packages, cniPackage)
	}
	slices.Sort(packages)
	return slices.Compact(packages)
}

func ensurePackages(ctx context.Context) error {
	packages := missingPackages()
	if len(packages) == 0 {
		return nil
	}
	list := strings.Join(packages, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("programs are missing; install the programs of these Debian packages: %s", list)
	}
	fmt.Fprintf(os.Stderr, "installing Debian packages: %s\n", list)
	install := append([]string{"install", "-y", "--no-install-recommends"}, packages...)
	_, err := apt(ctx, install...)
	if err != nil { // a fresh machine has no package lists yet
		var output string
		if output, err = apt(ctx, "update"); err != nil {
			return fmt.Errorf("apt-get update: %w\n%s", err, output)
		}
		if output, err = apt(ctx, install...); err != nil {
			return fmt.Errorf("apt-get install %s: %w\n%s", list, err, output)
		}
	}
	if still := missingPackages(); len(still) > 0 {
		return fmt.Errorf("still missing after apt-get install: %s", strings.Join(still, " "))
	}
	return nil
}

func apt(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, "apt-get", args...)
	c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	output, err := c.CombinedOutput()
	return string(output), err
}
