"""What Bindery is measured against: the bare framework, arq used plainly, and django-push-notifications."""
