package webhook

import (
	"context"
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// validating answers reviews by the validator. An app may have been stored before the schema forbade what Go cannot decode. The update that
// corrects it is reviewed as a creation, because nothing can be compared with the old app.
func validating(scheme *runtime.Scheme, v Validator) *admission.Webhook {
	webhook := admission.WithValidator(scheme, v)
	judge := webhook.Handler
	webhook.Handler = admission.HandlerFunc(func(ctx context.Context, request admission.Request) admission.Response {
		if request.Operation == admissionv1.Update && json.Unmarshal(request.OldObject.Raw, &v1alpha1.GracefulApp{}) != nil {
			request.Operation, request.OldObject = admissionv1.Create, runtime.RawExtension{}
		}
		return judge.Handle(ctx, request)
	})
	return webhook
}
