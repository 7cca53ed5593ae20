"""Resource types by what they cost while unused: nothing, never allowed, or by their properties.

A type in none of the tables has an unknown cost.
"""

from dataclasses import dataclass
from typing import Final, Literal


def _types(service: str, names: str) -> frozenset[str]:
    return frozenset(f"AWS::{service}::{name}" for name in names.split())


FREE: Final = frozenset().union(
    _types("AccessAnalyzer", "ArchiveRule"),
    _types("ApiGateway", "Account ApiKey Authorizer BasePathMapping ClientCertificate DocumentationPart"),
    _types("ApiGateway", "DocumentationVersion DomainName GatewayResponse Method Model RequestValidator"),
    _types("ApiGateway", "Resource RestApi UsagePlan UsagePlanKey"),
    _types("ApiGatewayV2", "Api ApiGatewayManagedOverrides ApiMapping Authorizer Deployment DomainName"),
    _types("ApiGatewayV2", "Integration IntegrationResponse Model Route RouteResponse Stage"),
    _types("AppSync", "ApiKey DataSource DomainName DomainNameApiAssociation FunctionConfiguration"),
    _types("AppSync", "GraphQLApi GraphQLSchema Resolver"),
    _types("Athena", "DataCatalog NamedQuery PreparedStatement WorkGroup"),
    _types("Budgets", "Budget"),
    _types("CDK", "Metadata"),
    _types("CE", "AnomalyMonitor AnomalySubscription"),
    _types("CloudFormation", "WaitCondition WaitConditionHandle"),
    _types("CloudFront", "CachePolicy CloudFrontOriginAccessIdentity Function KeyGroup KeyValueStore"),
    _types("CloudFront", "OriginAccessControl OriginRequestPolicy PublicKey ResponseHeadersPolicy"),
    _types("CodeDeploy", "Application DeploymentConfig DeploymentGroup"),
    _types("Cognito", "IdentityPool IdentityPoolRoleAttachment ManagedLoginBranding UserPool UserPoolDomain"),
    _types("Cognito", "UserPoolGroup UserPoolIdentityProvider UserPoolResourceServer UserPoolUser"),
    _types("EC2", "DHCPOptions EgressOnlyInternetGateway GatewayRouteTableAssociation InternetGateway"),
    _types("EC2", "NetworkAcl NetworkAclEntry PrefixList Route RouteTable SecurityGroup"),
    _types("EC2", "SecurityGroupEgress SecurityGroupIngress Subnet SubnetCidrBlock"),
    _types("EC2", "SubnetNetworkAclAssociation SubnetRouteTableAssociation VPC VPCCidrBlock"),
    _types("EC2", "VPCDHCPOptionsAssociation VPCGatewayAttachment"),
    _types("ECR", "PullThroughCacheRule RegistryPolicy"),
    _types("Events", "ApiDestination EventBus EventBusPolicy"),
    _types("Glue", "Classifier Connection DataCatalogEncryptionSettings Database Partition Registry"),
    _types("Glue", "Schema SchemaVersion SecurityConfiguration Table"),
    _types("IAM", "AccessKey Group GroupPolicy InstanceProfile ManagedPolicy OIDCProvider Policy Role"),
    _types("IAM", "RolePolicy SAMLProvider ServerCertificate ServiceLinkedRole User UserPolicy"),
    _types("IAM", "UserToGroupAddition"),
    _types("KMS", "Alias"),
    _types("LakeFormation", "DataLakeSettings Permissions PrincipalPermissions Resource Tag TagAssociation"),
    _types("Lambda", "CodeSigningConfig EventInvokeConfig LayerVersion LayerVersionPermission Permission Url"),
    _types("Logs", "LogStream QueryDefinition ResourcePolicy SubscriptionFilter"),
    _types("ResourceGroups", "Group"),
    _types("Route53", "RecordSet RecordSetGroup"),
    _types("S3", "AccessPoint BucketPolicy"),
    _types("SES", "ConfigurationSet EmailIdentity Template"),
    _types("SNS", "Subscription Topic TopicInlinePolicy TopicPolicy"),
    _types("SQS", "Queue QueueInlinePolicy QueuePolicy"),
    _types("SSM", "Document ResourcePolicy"),
    _types("SageMaker", "Model ModelCard ModelPackage ModelPackageGroup Pipeline"),
    _types("Scheduler", "ScheduleGroup"),
    _types("SecretsManager", "ResourcePolicy"),
    _types("Serverless", "Connector HttpApi LayerVersion WebSocketApi"),
    _types("ServiceCatalogAppRegistry", "Application AttributeGroup AttributeGroupAssociation ResourceAssociation"),
    _types("Signer", "ProfilePermission SigningProfile"),
    _types("StepFunctions", "Activity StateMachine StateMachineAlias StateMachineVersion"),
    _types("WAFv2", "IPSet LoggingConfiguration RegexPatternSet WebACLAssociation"),
    _types("XRay", "Group ResourcePolicy SamplingRule"),
)  # fmt: skip

# A service (ends with "::") or a type, and what it is.
FORBIDDEN: Final[dict[str, str]] = {
    "AWS::ACMPCA::": "private certificate authority",
    "AWS::AmazonMQ::": "message broker",
    "AWS::AppRunner::": "provisioned containers",
    "AWS::AppStream::": "streaming instances",
    "AWS::AppSync::ApiCache": "API cache",
    "AWS::ApplicationAutoScaling::": "scaling of provisioned capacity",
    "AWS::Athena::CapacityReservation": "provisioned query capacity",
    "AWS::AutoScaling::": "EC2 instances",
    "AWS::AutoScalingPlans::": "scaling of provisioned capacity",
    "AWS::Batch::": "container or EC2 capacity",
    "AWS::Bedrock::ProvisionedModelThroughput": "provisioned model throughput",
    "AWS::Cloud9::": "EC2 instance",
    "AWS::CloudFront::AnycastIpList": "dedicated addresses",
    "AWS::DAX::": "cache cluster",
    "AWS::DMS::": "replication instance",
    "AWS::DirectoryService::": "directory",
    "AWS::DocDB::": "database cluster",
    "AWS::DocDBElastic::": "database cluster",
    "AWS::EC2::CapacityReservation": "EC2 capacity",
    "AWS::EC2::CapacityReservationFleet": "EC2 capacity",
    "AWS::EC2::ClientVpnEndpoint": "VPN endpoint",
    "AWS::EC2::EC2Fleet": "EC2 instances",
    "AWS::EC2::EIP": "public IPv4 address",
    "AWS::EC2::Host": "EC2 host",
    "AWS::EC2::Instance": "EC2 instance",
    "AWS::EC2::LaunchTemplate": "EC2 instances",
    "AWS::EC2::NatGateway": "NAT gateway",
    "AWS::EC2::SpotFleet": "EC2 instances",
    "AWS::EC2::TransitGateway": "transit gateway",
    "AWS::EC2::TransitGatewayAttachment": "transit gateway",
    "AWS::EC2::TransitGatewayVpcAttachment": "transit gateway",
    "AWS::EC2::VPNConnection": "VPN connection",
    "AWS::EC2::Volume": "EC2 disk",
    "AWS::ECS::": "ECS",
    "AWS::EKS::": "EKS",
    "AWS::EMR::": "EC2 instances",
    "AWS::EMRContainers::": "EKS",
    "AWS::ElastiCache::": "ElastiCache",
    "AWS::ElasticBeanstalk::": "EC2 instances",
    "AWS::ElasticLoadBalancing::": "load balancer",
    "AWS::ElasticLoadBalancingV2::": "load balancer (ALB or NLB)",
    "AWS::Elasticsearch::": "search cluster",
    "AWS::FSx::": "file system",
    "AWS::GameLift::": "EC2 instances",
    "AWS::GlobalAccelerator::": "accelerator",
    "AWS::Glue::DevEndpoint": "development endpoint",
    "AWS::HealthLake::": "HealthLake",
    "AWS::Kinesis::": "provisioned or on-demand stream, billed per hour",
    "AWS::KinesisAnalytics::": "stream application",
    "AWS::KinesisAnalyticsV2::": "stream application",
    "AWS::Lambda::CapacityProvider": "EC2 instances for Lambda",
    "AWS::Lightsail::": "instance",
    "AWS::MSK::": "Kafka cluster",
    "AWS::MemoryDB::": "cache cluster",
    "AWS::Neptune::": "database cluster",
    "AWS::NeptuneGraph::": "database",
    "AWS::NetworkFirewall::": "firewall endpoint",
    "AWS::OpenSearchServerless::": "search capacity, billed while idle",
    "AWS::OpenSearchService::": "search cluster",
    "AWS::RDS::": "RDS",
    "AWS::Redshift::": "Redshift",
    "AWS::RedshiftServerless::": "Redshift",
    "AWS::SageMaker::App": "SageMaker instance",
    "AWS::SageMaker::Cluster": "SageMaker instances",
    "AWS::SageMaker::InferenceComponent": "real-time endpoint",
    "AWS::SageMaker::InferenceExperiment": "real-time endpoint",
    "AWS::SageMaker::MlflowTrackingServer": "tracking server",
    "AWS::SageMaker::MonitoringSchedule": "scheduled SageMaker instances",
    "AWS::SageMaker::NotebookInstance": "SageMaker instance",
    "AWS::Serverless::CapacityProvider": "EC2 instances for Lambda",
    "AWS::Transfer::": "file transfer server",
    "AWS::VpcLattice::": "service network, billed per hour",
    "AWS::WorkSpaces::": "desktop",
}  # fmt: skip

# Price of some forbidden types, by their name in the price list.
FORBIDDEN_HOURLY: Final = {
    "AWS::EC2::EIP": "public_ipv4_hour",
    "AWS::EC2::NatGateway": "nat_gateway_hour",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "alb_hour",
}


@dataclass(frozen=True, slots=True)
class Trap:
    """A property that must be absent or off, or have one of the `allowed` values ("": absent)."""

    path: str
    verdict: Literal["forbidden", "unknown"]
    what: str
    allowed: frozenset[str] | None = None


def _only(path: str, verdict: Literal["forbidden", "unknown"], what: str, allowed: str) -> Trap:
    return Trap(path, verdict, what, frozenset(allowed.split(" ")))


_ON_DEMAND = _only("BillingMode", "forbidden", "provisioned capacity", "PAY_PER_REQUEST")
_CONCURRENCY = Trap("ProvisionedConcurrencyConfig", "forbidden", "provisioned concurrency")
_INSIGHTS = Trap("ContributorInsightsSpecification.Enabled", "unknown", "contributor insights")
_INDEXES = "GlobalSecondaryIndexes.[].ContributorInsightsSpecification.Enabled"

_WARM = (
    Trap("WarmThroughput", "unknown", "warm throughput, billed once for the increase"),
    Trap("GlobalSecondaryIndexes.[].WarmThroughput", "unknown", "warm throughput of an index"),
)

TRAPS: Final[dict[str, tuple[Trap, ...]]] = {
    "AWS::AccessAnalyzer::Analyzer": (
        _only("Type", "unknown", "analyzer billed per role or resource", "ACCOUNT ORGANIZATION"),
    ),
    "AWS::ApiGateway::Stage": (Trap("CacheClusterEnabled", "forbidden", "API cache"),),
    "AWS::ApiGateway::Deployment": (
        Trap("StageDescription.CacheClusterEnabled", "forbidden", "API cache"),
    ),
    "AWS::CertificateManager::Certificate": (
        Trap("CertificateAuthorityArn", "unknown", "certificate of a private authority"),
        _only("CertificateExport", "unknown", "exportable certificate", " DISABLED"),
    ),
    "AWS::CloudFront::Distribution": (
        _only(
            "DistributionConfig.ViewerCertificate.SslSupportMethod",
            "forbidden",
            "dedicated addresses",
            " sni-only",
        ),
        Trap("DistributionConfig.AnycastIpListId", "forbidden", "dedicated addresses"),
    ),
    "AWS::DynamoDB::GlobalTable": (
        _ON_DEMAND,
        Trap("Replicas.[].ContributorInsightsSpecification.Enabled", "unknown", "contributor insights"),
        Trap("Replicas.[].KinesisStreamSpecification", "unknown", "Kinesis stream"),
        Trap(f"Replicas.[].{_INDEXES}", "unknown", "contributor insights"),
        *_WARM,
    ),
    "AWS::DynamoDB::Table": (
        _ON_DEMAND,
        _INSIGHTS,
        Trap(_INDEXES, "unknown", "contributor insights"),
        Trap("KinesisStreamSpecification", "unknown", "Kinesis stream"),
        *_WARM,
    ),
    "AWS::Glue::Crawler": (Trap("Schedule", "unknown", "scheduled crawls"),),
    "AWS::Glue::Job": (
        _only("Command.Name", "unknown", "kind of job", "glueetl pythonshell"),
    ),
    "AWS::Glue::Trigger": (
        _only("Type", "unknown", "scheduled job runs", "ON_DEMAND CONDITIONAL"),
    ),
    "AWS::KinesisFirehose::DeliveryStream": (
        Trap("AmazonopensearchserviceDestinationConfiguration", "unknown", "delivery into a VPC"),
        Trap("ElasticsearchDestinationConfiguration", "unknown", "delivery into a VPC"),
        Trap("AmazonOpenSearchServerlessDestinationConfiguration", "unknown", "delivery into a VPC"),
        Trap("MSKSourceConfiguration", "unknown", "Kafka source"),
        Trap("DatabaseSourceConfiguration", "unknown", "database source"),
    ),
    "AWS::Lambda::Alias": (_CONCURRENCY,),
    "AWS::Lambda::Version": (_CONCURRENCY,),
    "AWS::Serverless::Api": (Trap("CacheClusterEnabled", "forbidden", "API cache"),),
    "AWS::Serverless::GraphQLApi": (Trap("Cache", "forbidden", "API cache"),),
    "AWS::Serverless::SimpleTable": (
        Trap("ProvisionedThroughput", "forbidden", "provisioned capacity"),
    ),
}  # fmt: skip
