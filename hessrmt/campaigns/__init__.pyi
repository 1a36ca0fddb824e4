from .campaign import Campaign as Campaign
from .campaign import CampaignError as CampaignError
from .campaign import Progress as Progress
