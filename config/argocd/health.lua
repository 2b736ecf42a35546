-- Health of a GracefulApp for Argo CD: resource.customizations.health.apps.gracefulapp.dev_GracefulApp in argocd-cm.
-- It reads the conditions as kstatus does: Stalled=True is Degraded; Ready=True for the current generation of the spec is Healthy.
local health = {status = "Progressing", message = "the operator has not looked at this spec yet"}
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
for _, condition in ipairs(status.conditions) do
  if condition.type == "Ready" then
    health.message = condition.message
    if condition.status == "True" then
      health.status = "Healthy"
    elseif condition.reason == "Paused" then
      health.status = "Suspended"
    end
  end
end
for _, condition in ipairs(status.conditions) do
  if condition.type == "Stalled" and condition.status == "True" then
    health.status = "Degraded"
    health.message = condition.message
  end
end
return health
