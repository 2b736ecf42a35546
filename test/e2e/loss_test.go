//go:build e2e

package e2e

import (
	"os"
	"os/exec"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The demo is the test: it fails if a request of the GracefulApp was lost, and also if the naive twin beside it lost none, for then it
// would prove nothing.
var _ = Describe("Under load, scaling and a rollout", Serial, func() {
	It("lose no request, while a naive twin loses some", func() {
		demo := exec.Command("../../bin/demo", "run", "--hello-image", image("HELLO_IMG", "hello:0.1.0"),
			"--loadgen-image", image("LOADGEN_IMG", "gracefulapp-loadgen:0.1.0"))
		demo.Stdout, demo.Stderr = GinkgoWriter, GinkgoWriter
		Expect(demo.Run()).To(Succeed(), "what the demo printed stands above")
		kubectl("delete", "namespace", "graceful-demo", "--wait=false")
	})
})

func image(variable, fallback string) string {
	if image := os.Getenv(variable); image != "" {
		return image
	}
	return fallback
}
